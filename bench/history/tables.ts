import type { Sql } from "../../src/store/database.ts";

/*
 * All that bus-history knows of the bus's tables. When they change, this file follows; the rest uses the bus's doors.
 */

const eventsPerTrace = 20;
const tracesAtOnce = 1000;

/** Events of made-up traces come in blocks: this many belong to whole traces. */
export const eventBlock = eventsPerTrace * tracesAtOnce;

/** How many events each made-up trace has. */
export const madeUpEvents = eventsPerTrace;

/**
 * Writes `count` events (a multiple of `eventBlock`) as a week of work leaves them: traces of 5 messages with 4 events
 * each, a thousand traces interleaved. Calls `progress` now and then with how many are there.
 */
export async function fillEvents(sql: Sql, count: number, progress: (there: number) => void): Promise<void> {
  const step = 25 * eventBlock;
  for (let from = 0; from < count; from += step) {
    const to = Math.min(count, from + step);
    await sql`
      insert into bus_events (at, kind, service, role, shard, tenant, intent, trace_id, message_id, idempotency_key,
                              attempts, worker)
      select clock_timestamp() - interval '7 days' * (1 - (i + 1)::float8 / ${count}),
             (array['codegen_accepted', 'codegen_acked', 'codegen_status', 'codegen_done'])[place % 4 + 1],
             'codegen', 'generate', trace % 4, 'local', 'code.generate', md5('bench-trace-' || trace)::uuid,
             -(trace * 5 + place / 4 + 1), 'bench-history-' || trace, least(place % 4, 1), 'bench-worker'
      from (
        select i, (i % ${eventBlock}) / ${tracesAtOnce} as place,
               i / ${eventBlock} * ${tracesAtOnce} + i % ${tracesAtOnce} as trace
        from generate_series(${from}::bigint, ${to - 1}::bigint) i
      ) made`;
    progress(to);
  }
}

/** The ids of `wanted` made-up traces, spread over all `count` events. */
export async function madeUpTraces(sql: Sql, count: number, wanted: number): Promise<string[]> {
  const traces = count / eventsPerTrace;
  const rows = await sql<{ id: string }[]>`
    select md5('bench-trace-' || n * ${traces}::bigint / ${wanted})::uuid as id
    from generate_series(0, ${wanted - 1}) n`;
  return rows.map(({ id }) => id);
}

/** Whether a statement is the one that claims. */
export function isClaim(statement: string): boolean {
  return statement.includes("delete from bus_queue");
}

/** The lane that the messages of a tenant are in. */
export async function laneOf(sql: Sql, tenant: string): Promise<number> {
  const [row] = await sql<{ shard: number }[]>`select shard from bus_messages where tenant = ${tenant} limit 1`;
  return row?.shard ?? -1;
}
