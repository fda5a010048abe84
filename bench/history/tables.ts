import type { Sql } from "../../src/store/database.ts";

/*
 * All that bus-history knows of the bus's tables. When they change, this file follows; the rest uses the bus's doors.
 */

/** A made-up trace: five messages that were done, each with its accepted, acked, status and done event. */
const messagesPerTrace = 5;
const tracesAtOnce = 1000;
const blockMessages = messagesPerTrace * tracesAtOnce;

/** How many events each made-up trace has. */
export const madeUpEvents = messagesPerTrace * 4;

/** Events come in blocks: so many traces that ran at the same time. */
export const eventBlock = madeUpEvents * tracesAtOnce;

/** Ids of one partition of the history; what is made up lies in partitions 1 to 7, the present begins with the next. */
const partitionIds = 2 ** 24;
const days = 7;

/**
 * Writes `count` events (a multiple of `eventBlock`) as a week of work leaves them, a partition a day: a thousand traces
 * interleaved at any time. What is published afterwards lies in a partition of its own.
 */
export async function fillEvents(sql: Sql, count: number, progress: (there: number) => void): Promise<void> {
  await sql`
    select bus_open_partition(n) from generate_series(0, ${days + 3}) n
    where not exists (select from bus_partitions where number = n)`;
  const blocks = count / eventBlock;
  for (let block = 0; block < blocks; block += 1) {
    const day = Math.floor((block * days) / blocks);
    const inDay = block - Math.ceil((day * blocks) / days);
    const first = (day + 1) * partitionIds + inDay * eventBlock;
    const agoS = (1 - block / blocks) * days * 86_400;
    await fillBlock(sql, { first, trace: block * tracesAtOnce, agoS });
    progress((block + 1) * eventBlock);
  }
  await sql`select setval('bus_ids', ${(days + 1) * partitionIds})`;
  await sql`update bus_partitions set closed_at = bus_now() where number <= ${days}`;
}

/** Message k of the block has id first + 4k; its acked, status and done events have the next three. */
async function fillBlock(
  sql: Sql,
  { first, trace, agoS }: { first: number; trace: number; agoS: number },
): Promise<void> {
  await sql`
    with made as materialized (
      select ${first}::bigint + 4 * k as id, ${first}::bigint + 4 * (k % ${tracesAtOnce}) as root_id,
             md5('bench-trace-' || ${trace}::bigint + k % ${tracesAtOnce})::uuid as trace_id, k,
             nullif(k / ${tracesAtOnce}, 0) as step, clock_timestamp() - ${agoS} * interval '1 second' as at
      from generate_series(0, ${blockMessages - 1}) k
    ),
    messages as (
      insert into bus_messages (id, lane, service, role, shard, tenant, intent, trace_id, root_id, parent_id,
                                idempotency_key, payload, created_at)
      select id, 1, 'codegen', 'generate', k % 4, 'acme', 'code.generate', trace_id, root_id,
             case when step is not null then id - ${4 * tracesAtOnce} end, 'bench-history-' || id, '{"n": 0}', at
      from made
    ),
    attempts as (
      insert into bus_attempts (message_id, attempts, event_id, lane, status, token, worker, claimed_at, ended_at, result)
      select id, 1, id + 3, 1, 'done', id + 1, 'bench-worker', at, at, '{"n": 0}' from made
    ),
    facts as (
      insert into bus_facts (id, at, kind, service, role, shard, tenant, intent, trace_id, message_id, idempotency_key,
                             attempts, worker, details)
      select id + 2, at, 'codegen_status', 'codegen', 'generate', k % 4, 'acme', 'code.generate', trace_id, id,
             'bench-history-' || id, 1, 'bench-worker', '{"text": "half way"}'
      from made
    )
    insert into bus_trace_ends (root_id, status, answer, ended_at)
    select id, 'done', '{"text": "well"}', at from made where step is null`;
}

/** The ids of `wanted` made-up traces, spread over all `count` events. */
export async function madeUpTraces(sql: Sql, count: number, wanted: number): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    select md5('bench-trace-' || n::bigint * ${count / madeUpEvents}::bigint / ${wanted})::uuid as id
    from generate_series(0, ${wanted - 1}) n`;
  return rows.map(({ id }) => id);
}

/** Whether a statement looks for work. */
export function looksForWork(statement: string): boolean {
  return statement.includes("from bus_ready");
}
