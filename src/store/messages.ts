import type { Assignment, Intent, Message } from "../contracts/message.ts";
import { jsonText, type Sql } from "./database.ts";

/** A message about to be stored. Its key is unique for (tenant, role); a second one with the same key is no message. */
export type Draft = {
  service: string;
  role: string;
  shard: number;
  tenant: string;
  intent: Intent;
  traceId: string;
  parentId: string | null;
  idempotencyKey: string;
  assignment: Assignment | null;
  payload: unknown;
};

/** A claimed message: what the handler sees, and the token without which nobody may settle it. */
export type Claimed = Message & { token: string };

/** Stores messages, due at once, each with its `…_accepted` event. Answers the ids of those that are new. */
export async function insertMessages(sql: Sql, drafts: Draft[]): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    with wanted as (
      select * from jsonb_to_recordset(${jsonText(drafts)}::text::jsonb) as draft(
        service text, role text, shard smallint, tenant text, intent text, "traceId" uuid, "parentId" bigint,
        "idempotencyKey" text, assignment jsonb, payload jsonb)
    ),
    stored as (
      insert into bus_messages
        (service, role, shard, tenant, intent, trace_id, parent_id, idempotency_key, assignment, payload)
      select service, role, shard, tenant, intent, "traceId", "parentId",
             "idempotencyKey", nullif(assignment, 'null'), payload
      from wanted
      on conflict (tenant, service, role, idempotency_key) do nothing
      returning *
    ),
    queued as (
      insert into bus_queue (message_id, service, role, shard)
      select id, service, role, shard from stored
    ),
    told as (
      insert into bus_events (kind, service, role, shard, tenant, intent, trace_id, message_id, idempotency_key,
                              attempts, agent_id, agent_version, canary)
      select bus_event_kind(service, 'accepted'), service, role, shard, tenant, intent, trace_id, id, idempotency_key,
             0, assignment ->> 'agent_id', assignment ->> 'agent_version',
             coalesce((assignment ->> 'canary')::boolean, false)
      from stored
    )
    select id from stored order by id`;
  return rows.map(({ id }) => id);
}

export type Claim = {
  roles: string[]; // 'executor.execute'
  worker: string;
  limit: number;
  leaseMs: number;
};

/**
 * Takes up to `limit` due messages under a lease of `leaseMs` milliseconds, oldest first, each with its `…_acked`
 * event. Two workers never get the same message.
 */
export async function claim(sql: Sql, { roles, worker, limit, leaseMs }: Claim): Promise<Claimed[]> {
  return sql<Claimed[]>`
    with due as (
      select message_id from bus_queue
      where (service, role) in (select split_part(r, '.', 1), split_part(r, '.', 2) from unnest(${roles}::text[]) r)
        and due_at <= bus_now()
      order by due_at, message_id
      limit ${limit}
      for update skip locked
    ),
    taken as (
      delete from bus_queue q using due where q.message_id = due.message_id
      returning q.message_id, q.service, q.role, q.shard, q.attempts
    ),
    held as (
      insert into bus_leases (message_id, worker, service, role, shard, attempts, until)
      select message_id, ${worker}, service, role, shard, attempts + 1,
             bus_now() + ${leaseMs} * interval '1 millisecond'
      from taken
      returning message_id, token, attempts
    ),
    claimed as (
      select m.*, h.token, h.attempts as attempt from held h join bus_messages m on m.id = h.message_id
    ),
    told as (
      insert into bus_events (kind, service, role, shard, tenant, intent, trace_id, message_id, idempotency_key,
                              attempts, worker, agent_id, agent_version, canary)
      select bus_event_kind(service, 'acked'), service, role, shard, tenant, intent, trace_id, id, idempotency_key,
             attempt, ${worker}, assignment ->> 'agent_id', assignment ->> 'agent_version',
             coalesce((assignment ->> 'canary')::boolean, false)
      from claimed
    )
    select id, service, role, shard, tenant, intent, trace_id as "traceId", parent_id as "parentId",
           idempotency_key as "idempotencyKey", assignment, payload, created_at as "createdAt", attempt as attempts, token
    from claimed
    order by id`;
}

/** Prolongs the leases that are still held with these tokens. Answers the tokens that are. */
export async function extend(sql: Sql, tokens: string[], leaseMs: number): Promise<string[]> {
  const rows = await sql<{ token: string }[]>`
    update bus_leases set until = bus_now() + ${leaseMs} * interval '1 millisecond'
    where token = any (${tokens}::bigint[])
    returning token`;
  return rows.map(({ token }) => token);
}

/** Lets go of a lease inside a transaction. False: it is no longer held with this token, so nothing may be settled. */
export async function release(tx: Sql, { id, token }: { id: string; token: string }): Promise<boolean> {
  const rows = await tx`delete from bus_leases where message_id = ${id} and token = ${token} returning 1`;
  return rows.length === 1;
}

/** Locks up to `limit` leases that ran out, so that their messages can be settled as lost in this transaction. */
export async function lapsed(tx: Sql, limit: number): Promise<Claimed[]> {
  return tx<Claimed[]>`
    select m.id, m.service, m.role, m.shard, m.tenant, m.intent, m.trace_id as "traceId", m.parent_id as "parentId",
           m.idempotency_key as "idempotencyKey", m.assignment, m.payload, m.created_at as "createdAt",
           l.attempts, l.token
    from bus_leases l join bus_messages m on m.id = l.message_id
    where l.until <= bus_now()
    order by l.until
    limit ${limit}
    for update of l skip locked`;
}

/** Puts a released message back, due after `delayMs`. `attempts` counts those begun. */
export async function requeue(tx: Sql, message: Message, delayMs: number): Promise<void> {
  await tx`
    insert into bus_queue (message_id, service, role, shard, attempts, due_at)
    values (${message.id}, ${message.service}, ${message.role}, ${message.shard}, ${message.attempts},
            bus_now() + ${delayMs} * interval '1 millisecond')`;
}

export type End = { status: "done"; result: unknown } | { status: "dead" | "expired" | "cancelled"; failure: unknown };

/** Writes how a released message ended. */
export async function end(tx: Sql, { id, attempts }: Message, ending: End): Promise<void> {
  const result = ending.status === "done" ? ending.result : null;
  const failure = ending.status === "done" ? null : ending.failure;
  await tx`
    insert into bus_ends (message_id, status, attempts, result, failure)
    values (${id}, ${ending.status}, ${attempts}, ${jsonText(result)}::text::jsonb,
            nullif(${jsonText(failure)}::text::jsonb, 'null'))`;
}

/** How long until the next message of these roles is due, in milliseconds; null: none waits. */
export async function nextDueMs(sql: Sql, roles: string[]): Promise<number | null> {
  const [row] = await sql<{ ms: number | null }[]>`
    select greatest(0, extract(epoch from min(due_at) - bus_now()) * 1000)::float8 as ms
    from bus_queue
    where (service, role) in (select split_part(r, '.', 1), split_part(r, '.', 2) from unnest(${roles}::text[]) r)`;
  return row?.ms ?? null;
}
