import { setTimeout as pause } from "node:timers/promises";
import type { Message } from "../contracts/message.ts";
import { jsonText, part, type Sql } from "./database.ts";
import { factRows, insertFacts, type Fact as KindFact } from "./facts.ts";
import type { Claimed } from "./messages.ts";
import { wakeText } from "./wake.ts";

/** A fact as it is shown: one row of `bus_events`, a view of the tables that hold the transitions and of `bus_facts`. */
export type BusEvent = {
  id: string;
  at: Date;
  kind: string;
  service: string | null;
  role: string | null;
  shard: number | null;
  tenant: string | null;
  intent: string | null;
  trace_id: string | null;
  message_id: string | null;
  idempotency_key: string | null;
  attempts: number | null;
  worker: string | null;
  agent_id: string | null;
  agent_version: string | null;
  canary: boolean;
  details: Record<string, unknown>;
};

/** Appends a fact about a message. `what` is named after the service ('done' → 'codegen_done'), `kind` is taken as it is. */
export async function tell(
  sql: Sql,
  message: Message,
  { what, kind = null, worker = null, details = {} }: Fact,
): Promise<void> {
  await sql`
    insert into bus_facts (kind, service, role, shard, tenant, intent, trace_id, message_id, idempotency_key,
                            attempts, worker, agent_id, agent_version, canary, details)
    values (coalesce(${kind}, bus_event_kind(${message.service}, ${what ?? null})), ${message.service}, ${message.role},
            ${message.shard}, ${message.tenant}, ${message.intent}, ${message.traceId}, ${message.id},
            ${message.idempotencyKey}, ${message.attempts}, ${worker}, ${message.assignment?.agent_id ?? null},
            ${message.assignment?.agent_version ?? null}, ${message.assignment?.canary ?? false},
            ${jsonText(details)}::text::jsonb)`;
}

/**
 * Appends how far a message is, and wakes who follows its trace, in one statement. It does not wait for the disk: what is
 * told is on its way, and nothing depends on it.
 */
export async function tellProgress(
  sql: Sql,
  message: Claimed,
  { worker, details, kind }: { worker: string; details: Record<string, unknown>; kind?: string | undefined },
): Promise<void> {
  const hint = wakeText({ roles: [], traces: [message.traceId], flows: [], ended: [] });
  const named = kind === undefined ? part`bus_event_kind(${message.service}, 'status')` : part`${kind}::text`;
  await sql`
    with told as (${insertFacts(factRows(message, [{ kind: "", data: details }]), worker, named)})
    select pg_notify('bus_wake', ${hint}) where set_config('synchronous_commit', 'off', true) is not null`;
}

/** Appends several facts of one message, each of a kind of its own. */
export async function tellMany(sql: Sql, message: Claimed, facts: KindFact[]): Promise<void> {
  await sql`${insertFacts(factRows(message, facts), message.worker)}`;
}

export type Fact = {
  what?: string;
  kind?: string | null;
  worker?: string | null;
  details?: Record<string, unknown>;
};

/** Appends a fact that belongs to no message: a policy was refused, an agent was registered. */
export async function tellAlone(sql: Sql, { kind, tenant = null, traceId = null, details = {} }: Alone): Promise<void> {
  await sql`
    insert into bus_facts (kind, tenant, trace_id, details)
    values (${kind}, ${tenant}, ${traceId}, ${jsonText(details)}::text::jsonb)`;
}

export type Alone = {
  kind: string;
  tenant?: string | null;
  traceId?: string | null;
  details?: Record<string, unknown>;
};

/** All events of a trace with an id above `after`, in order. */
export async function eventsOf(sql: Sql, traceId: string, after = "0"): Promise<BusEvent[]> {
  return sql<BusEvent[]>`
    select id, at, kind, service, role, shard, tenant, intent, trace_id, message_id, idempotency_key,
           attempts, worker, agent_id, agent_version, canary, details
    from bus_events
    where trace_id = ${traceId} and id > ${after}
    order by id, message_id`;
}

/**
 * Up to `limit` events of a trace with an id above `after`, in order, such that none with a smaller id can still
 * appear. Ids are drawn before the commit, so an event may become visible after one with a larger id: whoever goes on
 * from the last id he saw would miss it. So we look which id is the newest, wait for those who are writing events at
 * that moment (each holds the table's lock since before it drew its id), and only then read.
 * A writer that hangs for longer than 5 s is not waited for. `whole`: the trace is over, nobody writes there any more.
 */
export async function eventsInOrder(
  sql: Sql,
  traceId: string,
  { after, limit, whole = false }: { after: string; limit: number; whole?: boolean },
): Promise<BusEvent[]> {
  const [newest] = await sql<{ id: string | null }[]>`
    select max(id) as id
    from bus_events
    where trace_id = ${traceId} and id > ${after}`;
  if (!newest?.id) return [];
  let writers = whole ? [] : await writersOf(sql);
  for (
    let [turn, waitMs] = [0, 2];
    writers.length > 0 && turn < 250;
    [turn, waitMs] = [turn + 1, Math.min(20, waitMs * 2)]
  ) {
    await pause(waitMs);
    const still = new Set(await writersOf(sql));
    writers = writers.filter((writer) => still.has(writer));
  }
  return sql<BusEvent[]>`
    select * from (
      select id, at, kind, service, role, shard, tenant, intent, trace_id, message_id, idempotency_key,
             attempts, worker, agent_id, agent_version, canary, details
      from bus_events
      where trace_id = ${traceId} and id > ${after} and id <= ${newest.id}
      order by id
      fetch first (${limit}) rows with ties
    ) page
    order by id, message_id`;
}

/** The transactions that have written events and are still open. */
async function writersOf(sql: Sql): Promise<string[]> {
  const rows = await sql<{ writer: string }[]>`
    select virtualtransaction as writer
    from pg_locks
    where relation = any (array['bus_messages', 'bus_leases', 'bus_attempts', 'bus_packs', 'bus_facts']::regclass[])
      and database = (select oid from pg_database where datname = current_database())
      and mode = 'RowExclusiveLock' and granted`;
  return rows.map(({ writer }) => writer);
}
