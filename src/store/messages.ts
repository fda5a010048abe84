import { Failure } from "../contracts/failure.ts";
import type { Assignment, Intent, Message } from "../contracts/message.ts";
import { array, jsonText, type Part, part, type Sql } from "./database.ts";
import { type Kinds, kindsOf, kindsText } from "./kinds.ts";
import { isPuttable, putOne } from "./single.ts";

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
  body?: string | undefined; // the payload as JSON, when somebody has written it already
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

export type Stored = { n: number; lane: number }; // n: the place in the list that was handed in

/** The lane of each message of a list that was stored; undefined at the place of one that was not. */
export type Lanes = (number | undefined)[];

/**
 * Stores first messages, each with its trace and its key. What has no lane in the answer was published before. Keys are
 * mostly new, and then a plain insert is the cheapest; when one is not, all is done again and it is looked at. With `tell`,
 * the wake-up goes out with the commit: sooner than after it, but one transaction at a time, so only for one who is alone.
 */
export async function insertRoots(sql: Sql, roots: Root[], tell = false): Promise<Lanes> {
  const kinds = kindsOf(roots);
  if (!roots.some(({ claimsTrace }) => claimsTrace)) {
    try {
      const [root] = roots;
      if (root && roots.length === 1 && isPuttable(root)) return [await putOne(sql, root, tell)];
      const laneOf: number[] = [];
      for (const { kind, lane } of await sql<{ kind: number; lane: number }[]>`
        with ${wantedOf(roots, { kinds })},
        keyed as (
          insert into bus_keys (scope, key, message_id, trace_id, request_hash, expires_at)
          select w.key_scope, w.key, w.id, w.trace_id, w.request_hash, w.key_expires_at from wanted w
        ),
        ${allAllowed}, ${storing}${tell ? telling : part``}
        select kind, lane from kinds ${tell ? whenTold : part``}`)
        laneOf[kind] = lane;
      return kinds.kindOf.map((kind) => laneOf[kind]);
    } catch (error) {
      const { code, table } = pgError(error);
      if (code !== deadlock && (code !== "23505" || table !== "bus_keys")) refused(error);
    }
  }
  for (let turn = 1; ; turn += 1) {
    try {
      return await insertUnlessKnown(sql, roots, { kinds, tell });
    } catch (error) {
      if (pgError(error).code !== deadlock || turn === 5) refused(error);
    }
  }
}

/** Somebody publishes the same keys in another order; one of the two was sent away, and comes again. */
const deadlock = "40P01";

const telling = part`, told as materialized (
      select pg_notify('bus_wake', json_build_object(
        'roles', json_build_array(service || '.' || role), 'traces', '[]'::json,
        'flows', json_build_array(json_build_object('lane', lane, 'priority', priority, 'tenant', tenant)))::text)
      from allowed where due_at is null
    )`;
const whenTold = part`where (select count(*) from told) >= 0`;

async function insertUnlessKnown(
  sql: Sql,
  roots: Root[],
  { kinds, tell }: { kinds: Kinds; tell: boolean },
): Promise<Lanes> {
  const stored = await sql<Stored[]>`
    with ${wantedOf(roots, { kinds })},
    named as (
      insert into bus_keys (scope, key, message_id, trace_id, request_hash, expires_at)
      select 'trace', w.trace_id::text, w.id, w.trace_id, w.request_hash, w.key_expires_at
      from wanted w where w.claims_trace
      on conflict (scope, key) do nothing
      returning message_id
    ),
    keyed as (
      insert into bus_keys (scope, key, message_id, trace_id, request_hash, expires_at)
      select distinct on (w.key_scope, w.key) w.key_scope, w.key, w.id, w.trace_id, w.request_hash, w.key_expires_at
      from wanted w
      where not w.claims_trace or w.id in (select message_id from named)
      order by w.key_scope, w.key, w.id
      on conflict (scope, key) do update
      set message_id = excluded.message_id, trace_id = excluded.trace_id, request_hash = excluded.request_hash,
          expires_at = excluded.expires_at
      where bus_keys.expires_at <= bus_now()
      returning message_id
    ),
    ${allowedOf(part`w.id in (select message_id from keyed)`)}, ${storing}${tell ? telling : part``}
    select n, lane from allowed ${tell ? whenTold : part``}`;
  const lanes: Lanes = roots.map(() => undefined);
  for (const { n, lane } of stored) lanes[n] = lane;
  return lanes;
}

/** Stores messages that follow from others, in the transaction that settles those. */
export async function insertMessages(tx: Sql, drafts: Draft[]): Promise<Stored[]> {
  if (drafts.length === 0) return [];
  return tx<Stored[]>`
    with ${wantedOf(drafts)}, ${allAllowed}, ${storing}
    select n, lane from allowed order by n`.catch(refused);
}

/**
 * `wanted`: the drafts as rows, each with its id. What many of them have in common travels once, as a kind. `after` is a
 * table of one row whose id is drawn before theirs.
 */
export function wantedOf(
  drafts: (Draft | Root)[],
  { kinds = kindsOf(drafts), after = part`` }: { kinds?: Kinds; after?: Part } = {},
): Part {
  const ids = (of: (draft: Draft) => string | null) =>
    drafts.some((draft) => of(draft) !== null) ? `{${drafts.map((draft) => of(draft) ?? "null").join(",")}}` : "{}";
  return part`
    kinds as materialized (
      select (k.place - 1)::integer as kind, l.id as lane, d.service, d.role, d.shard, t.id as tenant, d.intent,
             d."joinId" as join_id, d.priority, case when r.ordered then d."orderKey" end as order_key,
             coalesce(bus_now() + d."ttlMs" * interval '1 millisecond', d."expiresAt") as expires_at,
             case when d."delayMs" > 0 then bus_now() + d."delayMs" * interval '1 millisecond' end as due_at,
             d.traceparent, nullif(d.assignment, 'null') as assignment,
             d.tenant || '/' || d.service || '.' || d.role as key_scope,
             bus_now() + d."keyTtlMs" * interval '1 millisecond' as key_expires_at,
             coalesce(d."claimsTrace", false) as claims_trace, d.flow
      from jsonb_array_elements(${kindsText(kinds)}::text::jsonb) with ordinality as k (body, place)
      cross join lateral jsonb_to_record(k.body) as d(
        service text, role text, shard smallint, tenant text, intent text, "joinId" bigint, priority smallint,
        "orderKey" text, "ttlMs" float8, "expiresAt" timestamptz, "delayMs" float8, traceparent text, assignment jsonb,
        "keyTtlMs" float8, "claimsTrace" boolean, flow integer)
      left join bus_roles r on r.service = d.service and r.role = d.role
      left join bus_lanes l on l.service = r.service and l.role = r.role and l.shard = d.shard and d.shard < r.shards
      left join tenants t on t.id = d.tenant
    ),
    wanted as materialized (
      select d.id, (d.place - 1)::integer as n, d.trace_id, d.root_id, d.parent_id, d.key, d.request_hash, d.payload, k.*
      from (select nextval('bus_ids') as id, each.* from rows from (
        unnest(${ids(({ traceId }) => traceId)}::uuid[]), unnest(${ids(({ rootId }) => rootId)}::bigint[]),
        unnest(${ids(({ parentId }) => parentId)}::bigint[]),
        string_to_table(${drafts.map(({ idempotencyKey }) => idempotencyKey).join("\n")}, E'\n'),
        string_to_table(${drafts.map((draft) => ("requestHash" in draft ? draft.requestHash : "")).join("\n")}, E'\n', ''),
        unnest(${array(kinds.kindOf)}::integer[]),
        string_to_table(${drafts.map(({ body, payload }) => body ?? jsonText(payload)).join("\n")}, E'\n')
      ) with ordinality as each (trace_id, root_id, parent_id, key, request_hash, kind, payload, place) ${after}) d
      join kinds k using (kind)
    )`;
}

const allAllowed = part`allowed as not materialized (select * from wanted)`;

/** The drafts that may be stored. The condition is never alone, so that it is looked up, not joined. */
export function allowedOf(condition: Part): Part {
  return part`allowed as materialized (select * from wanted w where ${condition} or w.id is null)`;
}

/**
 * From `allowed` drafts to messages that wait, with their place in the queue, their deadline and the count of them. No
 * lane and no tenant is refused by the table.
 */
export const storing: Part = part`
    stored as (
      insert into bus_messages (id, lane, service, role, shard, tenant, intent, trace_id, root_id, parent_id, join_id,
                                idempotency_key, priority, order_key, expires_at, traceparent, assignment, payload)
      select id, lane, service, role, shard, tenant, intent, trace_id, coalesce(root_id, id), parent_id, join_id, key,
             priority, order_key, expires_at, traceparent, assignment, payload::json
      from allowed
    ),
    heads as materialized (
      select id, flow, due_at, due_at is not null as is_late, parent_id is null as is_root,
             order_key is null or bus_line_up(service, role, order_key, id, lane, priority, tenant, due_at)
               as is_first
      from allowed
    ),
    piles as materialized (
      select flow as kind, is_late, is_root, is_first, array_agg(id order by id) as ids
      from heads group by flow, is_late, is_root, is_first
    ),
    rooted as (
      insert into bus_roots (tenant, block, ids)
      select k.tenant, block.block, block.ids
      from piles p join kinds k using (kind)
      cross join lateral (
        select id >> 10 as block, array_agg(id order by id) as ids from unnest(p.ids) id group by id >> 10
      ) block
      where p.is_root
    ),
    readied as (
      insert into bus_ready (lane, priority, tenant, seq, message_ids, attempts)
      select k.lane, k.priority, k.tenant, ids[first], ids[first:first + 63], 0
      from piles p join kinds k using (kind) cross join lateral generate_series(1, cardinality(ids), 64) first
      where is_first and not is_late
    ),
    put_off as (
      insert into bus_delayed (due_at, lane, priority, tenant, message_id, attempts)
      select h.due_at, k.lane, k.priority, k.tenant, h.id, 0
      from heads h join kinds k on k.kind = h.flow
      where h.is_first and h.is_late
    ),
    dated as (
      insert into bus_deadlines (expires_at, message_id) select expires_at, id from allowed where expires_at is not null
    ),
    counted as (
      insert into bus_deltas (lane, accepted, ready, delayed)
      select k.lane, sum(cardinality(ids)), coalesce(sum(cardinality(ids)) filter (where is_first and not is_late), 0),
             coalesce(sum(cardinality(ids)) filter (where is_first and is_late), 0)
      from piles p join kinds k using (kind)
      group by k.lane
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

function pgError(error: unknown): { code?: unknown; table?: unknown; column?: unknown; constraint?: unknown } {
  return typeof error === "object" && error !== null ? error : {};
}
