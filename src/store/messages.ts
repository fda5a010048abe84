import { Failure } from "../contracts/failure.ts";
import type { Assignment, Intent, Message } from "../contracts/message.ts";
import { jsonText, type Part, part, type Sql } from "./database.ts";

/** A message about to be stored. Ids of others it names are those of stored messages. */
export type Draft = {
  service: string;
  role: string;
  shard: number;
  tenant: string;
  intent: Intent;
  traceId: string;
  rootId: string | null; // null: it opens the trace
  parentId: string | null;
  joinId: string | null;
  idempotencyKey: string;
  priority: number; // 0..9, 9 goes first
  orderKey: string | null; // of an ordered role: one at a time, in the order of publishing
  ttlMs: number | null; // from now; not ended by then: expired
  expiresAt: Date | null; // the same as a time, when there is no ttlMs
  delayMs: number; // 0: due at once
  traceparent: string | null;
  assignment: Assignment | null;
  payload: unknown;
};

/** A message that opens a trace, under the key that makes asking twice asking once. */
export type Root = Draft & {
  requestHash: string;
  keyTtlMs: number; // how long the key is remembered
  claimsTrace: boolean; // the trace id came from the caller: nobody else may have it
};

/** A claimed message: what the handler sees, and what settling it needs. */
export type Claimed = Message & { token: string; worker: string; lane: number };

/** Where a message stands in the queue: a lane, a priority on it, and a tenant. */
export type Flow = { lane: number; priority: number; tenant: string };

export type Stored = { n: number; id: string; lane: number }; // n: the place in the list that was handed in

/** Stores first messages, each with its trace and its key. What is missing in the answer was published before. */
export async function insertRoots(sql: Sql, roots: Root[]): Promise<Stored[]> {
  const source = part`
    named as (
      insert into bus_keys (scope, key, message_id, trace_id, request_hash, expires_at)
      select 'trace', w."traceId"::text, w.id, w."traceId", w."requestHash",
             bus_now() + w."keyTtlMs" * interval '1 millisecond'
      from wanted w where w."claimsTrace"
      on conflict (scope, key) do nothing
      returning message_id
    ),
    keyed as (
      insert into bus_keys (scope, key, message_id, trace_id, request_hash, expires_at)
      select w.tenant || '/' || w.service || '.' || w.role, w."idempotencyKey", w.id, w."traceId", w."requestHash",
             bus_now() + w."keyTtlMs" * interval '1 millisecond'
      from wanted w
      where not w."claimsTrace" or exists (select from named where named.message_id = w.id)
      on conflict (scope, key) do update
      set message_id = excluded.message_id, trace_id = excluded.trace_id, request_hash = excluded.request_hash,
          expires_at = excluded.expires_at
      where bus_keys.expires_at <= bus_now()
      returning message_id
    ),
    allowed as (select w.* from wanted w join keyed k on k.message_id = w.id),`;
  return sql<Stored[]>`
    with ${wantedOf(roots)}, ${source} ${storing}
    select a.n, s.id, s.lane from stored s join allowed a using (id) order by a.n`.catch(refused);
}

/** Stores messages that follow from others, in the transaction that settles those. */
export async function insertMessages(tx: Sql, drafts: Draft[]): Promise<Stored[]> {
  if (drafts.length === 0) return [];
  return tx<Stored[]>`
    with ${wantedOf(drafts)}, allowed as (select * from wanted), ${storing}
    select a.n, s.id, s.lane from stored s join allowed a using (id) order by a.n`.catch(refused);
}

/** `wanted`: the drafts as rows, each with its id. `after` is a table of one row whose id is drawn before theirs. */
export function wantedOf(drafts: Draft[], after: Part = part``): Part {
  return part`
    wanted as materialized (
      select nextval('bus_ids') as id, draft.*
      from jsonb_to_recordset(${jsonText(drafts.map((draft, n) => ({ n, ...draft })))}::text::jsonb) as draft(
        n integer, service text, role text, shard smallint, tenant text, intent text, "traceId" uuid, "rootId" bigint,
        "parentId" bigint, "joinId" bigint, "idempotencyKey" text, priority smallint, "orderKey" text, "ttlMs" float8,
        "expiresAt" timestamptz, "delayMs" float8, traceparent text, assignment jsonb, payload jsonb, "requestHash" text, "keyTtlMs" float8,
        "claimsTrace" boolean) ${after}
    )`;
}

/**
 * From `allowed` drafts to messages that wait: `stored`, and beside it their place in the queue, their deadline and the
 * count of them. No lane and no tenant is refused by the table.
 */
export const storing: Part = part`
    stored as (
      insert into bus_messages (id, lane, service, role, shard, tenant, intent, trace_id, root_id, parent_id, join_id,
                                idempotency_key, priority, order_key, expires_at, traceparent, assignment, payload)
      select a.id, l.id, a.service, a.role, a.shard, t.id, a.intent, a."traceId", coalesce(a."rootId", a.id),
             a."parentId", a."joinId", a."idempotencyKey", a.priority, case when r.ordered then a."orderKey" end,
             coalesce(bus_now() + a."ttlMs" * interval '1 millisecond', a."expiresAt"), a.traceparent, nullif(a.assignment, 'null'), a.payload
      from allowed a
      left join bus_roles r on r.service = a.service and r.role = a.role
      left join bus_lanes l on l.service = r.service and l.role = r.role and l.shard = a.shard and a.shard < r.shards
      left join tenants t on t.id = a.tenant
      returning *
    ),
    heads as materialized (
      select s.id, s.lane, s.priority, s.tenant, a."delayMs" as delay_ms
      from stored s join allowed a using (id)
      where s.order_key is null
         or bus_line_up(s.service, s.role, s.order_key, s.id, s.lane, s.priority, s.tenant)
    ),
    readied as (
      insert into bus_ready (lane, priority, tenant, seq, message_id, attempts)
      select lane, priority, tenant, id, id, 0 from heads where delay_ms <= 0
    ),
    put_off as (
      insert into bus_delayed (due_at, lane, priority, tenant, message_id, attempts)
      select bus_now() + delay_ms * interval '1 millisecond', lane, priority, tenant, id, 0 from heads where delay_ms > 0
    ),
    dated as (
      insert into bus_deadlines (expires_at, message_id) select expires_at, id from stored where expires_at is not null
    ),
    counted as (
      insert into bus_deltas (lane, accepted, ready, delayed)
      select s.lane, count(*), count(*) filter (where h.delay_ms <= 0), count(*) filter (where h.delay_ms > 0)
      from stored s left join heads h using (id)
      group by s.lane
    )`;

/** What a message is made of, for a handler. `m` is bus_messages. */
export const messageColumns: Part = part`
    m.id, m.lane, m.service, m.role, m.shard, m.tenant, m.intent, m.trace_id as "traceId", m.root_id as "rootId",
    m.parent_id as "parentId", m.join_id as "joinId", m.idempotency_key as "idempotencyKey", m.priority,
    m.order_key as "orderKey", m.expires_at as "expiresAt", m.traceparent, m.assignment, m.payload,
    m.created_at as "createdAt"`;

export type Known = { traceId: string; requestHash: string };

/** What was published first under this key; null: nothing that is remembered. */
export async function knownKey(
  sql: Sql,
  { tenant, to, key }: { tenant: string; to: string; key: string },
): Promise<Known | null> {
  const [known] = await sql<Known[]>`
    select trace_id as "traceId", request_hash as "requestHash"
    from bus_keys where scope = ${`${tenant}/${to}`} and key = ${key}`;
  return known ?? null;
}

/** A table's no as a Failure of ours. */
export function refused(error: unknown): never {
  const { code, column, constraint } = pgError(error);
  if (code === "23502" && column === "lane") {
    throw new Failure("unknown_role", "no such role, or no such shard of it; declare it before publishing to it", {
      cause: error,
    });
  }
  if (code === "23502" && column === "tenant") {
    throw new Failure("unknown_tenant", "no such tenant", { cause: error });
  }
  if (code === "23514" || code === "22003") {
    throw new Failure("invalid_message", `a field of the message is out of range: ${constraint ?? "a number"}`, {
      cause: error,
    });
  }
  throw error;
}

function pgError(error: unknown): { code?: unknown; column?: unknown; constraint?: unknown } {
  return typeof error === "object" && error !== null ? error : {};
}
