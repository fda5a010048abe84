import { jsonText, part, type Sql } from "./database.ts";
import type { Draft } from "./messages.ts";
import { wakeText } from "./wake.ts";

/** A trace that waits for a person or a callback, as it is shown to whoever may answer. */
export type Wait = {
  id: string;
  kind: string; // 'approval', 'callback'
  tenant: string;
  trace_id: string;
  asked: Record<string, unknown>;
  opened_at: Date;
  expires_at: Date;
  answered_at: Date | null;
  answer: Record<string, unknown> | null;
  answered_by: string | null;
};

export type Opening = {
  kind: string;
  tenant: string;
  traceId: string;
  messageId: string;
  asked: Record<string, unknown>;
  secretHash: Buffer | null; // SHA-256 of a token that may answer
  next: Draft;
  onExpiry: Draft | null;
  expiresMs: number;
  notAfter: Date | null; // when the trace's time to live is over; null: never
};

/** Writes that a trace waits, in the transaction that settles the message that asked. */
export async function openWait(tx: Sql, wait: Opening): Promise<{ id: string; expiresAt: Date }> {
  const [row] = await tx<{ id: string; expiresAt: Date }[]>`
    insert into bus_waits (kind, tenant, trace_id, message_id, asked, secret_hash, next, on_expiry, expires_at)
    values (${wait.kind}, ${wait.tenant}, ${wait.traceId}, ${wait.messageId}, ${jsonText(wait.asked)}::text::jsonb,
            ${wait.secretHash}, ${jsonText({ ...wait.next, body: undefined })}::text::jsonb,
            ${wait.onExpiry ? jsonText({ ...wait.onExpiry, body: undefined }) : null}::text::jsonb,
            least(bus_now() + ${wait.expiresMs} * interval '1 millisecond', ${wait.notAfter}::timestamptz))
    returning id, expires_at as "expiresAt"`;
  if (!row) throw new Error("an insert answers its row");
  return row;
}

/** What waits, the oldest first; `tenant` null: of all. */
export async function openWaits(
  sql: Sql,
  { kind, tenant, limit }: { kind: string; tenant: string | null; limit: number },
): Promise<Wait[]> {
  return sql<Wait[]>`
    select id, kind, tenant, trace_id, asked, opened_at, expires_at, answered_at, answer, answered_by
    from bus_waits
    where answered_at is null and kind = ${kind} and (${tenant}::text is null or tenant = ${tenant})
    order by id
    limit ${limit}`;
}

/** One wait; null when there is none, or when it belongs to another tenant (`tenant` null: any). */
export async function waitOf(
  sql: Sql,
  id: string,
  tenant: string | null,
): Promise<(Wait & { secretHash: Buffer | null }) | null> {
  const [wait] = await sql<(Wait & { secretHash: Buffer | null })[]>`
    select id, kind, tenant, trace_id, asked, opened_at, expires_at, answered_at, answer, answered_by,
           secret_hash as "secretHash"
    from bus_waits
    where id = ${id} and (${tenant}::text is null or tenant = ${tenant})`;
  return wait ?? null;
}

/** The wait that a message has ended with; null: none of this kind. */
export async function waitOfMessage(
  sql: Sql,
  { messageId, kind }: { messageId: string; kind: string },
): Promise<(Wait & { secretHash: Buffer | null }) | null> {
  const [wait] = await sql<(Wait & { secretHash: Buffer | null })[]>`
    select id, kind, tenant, trace_id, asked, opened_at, expires_at, answered_at, answer, answered_by,
           secret_hash as "secretHash"
    from bus_waits
    where message_id = ${messageId} and kind = ${kind}`;
  return wait ?? null;
}

/** Whether a worker has this message in hand. */
export async function isInHand(sql: Sql, messageId: string): Promise<boolean> {
  const [row] = await sql`select from bus_held where message_id = ${messageId}`;
  return row !== undefined;
}

/** How a wait stands. `answered_by` of those that nobody answered is 'expiry' or 'cancelled', and `answer` is null. */
export type StatedWait = Wait & { state: "waiting" | "approved" | "refused" | "expired" | "cancelled" };

const stated = part`
  id, kind, tenant, trace_id, asked, opened_at, expires_at, answered_at, answer, answered_by,
  case
    when answer is not null then case answer ->> 'decision' when 'refuse' then 'refused' else 'approved' end
    when answered_by = 'cancelled' then 'cancelled'
    when answered_at is not null or expires_at <= bus_now() then 'expired'
    else 'waiting'
  end as state`;

export type WaitsQuery = {
  kind: string;
  tenant: string | null; // null: all
  traceId: string | null; // null: any
  state: StatedWait["state"] | null; // null: any
  before: string | null; // an id: those opened earlier
  limit: number;
};

/** Waits of a kind with how they stand, the latest first. */
export async function statedWaits(
  sql: Sql,
  { kind, tenant, traceId, state, before, limit }: WaitsQuery,
): Promise<StatedWait[]> {
  return sql<StatedWait[]>`
    select * from (
      select ${stated}
      from bus_waits
      where kind = ${kind} and (${tenant}::text is null or tenant = ${tenant})
        and (${traceId}::uuid is null or trace_id = ${traceId})
        and (${before}::bigint is null or id < ${before})
        and (${state !== "waiting"} or answered_at is null)
    ) w
    where ${state}::text is null or state = ${state}
    order by id desc
    limit ${limit}`;
}

/** One wait with how it stands; null when there is none of that kind, or it is another tenant's (`tenant` null: any). */
export async function statedWait(
  sql: Sql,
  { id, kind, tenant }: { id: string; kind: string; tenant: string | null },
): Promise<StatedWait | null> {
  const [wait] = await sql<StatedWait[]>`
    select ${stated} from bus_waits
    where id = ${id} and kind = ${kind} and (${tenant}::text is null or tenant = ${tenant})`;
  return wait ?? null;
}

/**
 * Appends what somebody whom a trace waits for says of his progress, as a fact of the message that asked him, and wakes
 * who follows the trace. False: nothing waits any more, or something was told less than `everyMs` before. Does not wait
 * for the disk: nothing depends on it.
 */
export async function tellWaiting(sql: Sql, { id, traceId, kind, details, everyMs }: Telling): Promise<boolean> {
  const hint = wakeText({ roles: [], traces: [traceId], flows: [], ended: [] });
  const rows = await sql`
    with told as (
      update bus_waits set told_at = bus_now()
      where id = ${id} and answered_at is null and expires_at > bus_now()
        and (told_at is null or told_at <= bus_now() - ${everyMs} * interval '1 millisecond')
        and set_config('synchronous_commit', 'off', true) is not null
      returning message_id
    ), kept as (
      insert into bus_facts (kind, service, role, shard, tenant, intent, trace_id, message_id, idempotency_key,
                             agent_id, agent_version, canary, details)
      select ${kind}, m.service, m.role, m.shard, m.tenant, m.intent, m.trace_id, m.id, m.idempotency_key,
             m.assignment ->> 'agent_id', m.assignment ->> 'agent_version',
             coalesce((m.assignment ->> 'canary')::boolean, false), ${jsonText(details)}::text::jsonb
      from told
      join bus_messages m on m.id = told.message_id
    )
    select pg_notify('bus_wake', ${hint}) from told`;
  return rows.length > 0;
}

export type Telling = {
  id: string;
  traceId: string;
  kind: string; // of the fact
  details: Record<string, unknown>;
  everyMs: number;
};

/** How many of each kind wait now, and for how long the oldest does. */
export async function waitCounts(sql: Sql): Promise<{ kind: string; waiting: number; oldest_s: number }[]> {
  return sql<{ kind: string; waiting: number; oldest_s: number }[]>`
    select kind, count(*)::float8 as waiting,
           greatest(0, extract(epoch from bus_now() - min(opened_at)))::float8 as oldest_s
    from bus_waits
    where answered_at is null
    group by kind
    order by kind`;
}

/** What traces wait for now. */
export async function waitsOf(
  sql: Sql,
  traceIds: string[],
): Promise<Pick<Wait, "id" | "kind" | "trace_id" | "expires_at">[]> {
  return sql<Pick<Wait, "id" | "kind" | "trace_id" | "expires_at">[]>`
    select id, kind, trace_id, expires_at from bus_waits
    where trace_id = any (${traceIds}::uuid[]) and answered_at is null
    order by id`;
}

export type Due = {
  id: string;
  kind: string;
  tenant: string;
  traceId: string;
  messageId: string;
  next: Draft;
  onExpiry: Draft | null;
};

const dueColumns = part`id, kind, tenant, trace_id as "traceId", message_id as "messageId", next, on_expiry as "onExpiry"`;

/** Answers a wait. Null: it is answered already, or has expired. */
export async function closeWait(
  tx: Sql,
  { id, answer, by }: { id: string; answer: Record<string, unknown>; by: string },
): Promise<Due | null> {
  const [wait] = await tx<Due[]>`
    update bus_waits set answered_at = bus_now(), answer = ${jsonText(answer)}::text::jsonb, answered_by = ${by}
    where id = ${id} and answered_at is null and expires_at > bus_now()
    returning ${dueColumns}`;
  return wait ?? null;
}

/** Closes waits that nobody answered in time. */
export async function expiredWaits(tx: Sql, limit: number): Promise<Due[]> {
  return tx<Due[]>`
    update bus_waits set answered_at = bus_now(), answered_by = 'expiry'
    where id in (
      select id from bus_waits where answered_at is null and expires_at <= bus_now()
      order by expires_at limit ${limit}
      for update skip locked)
    returning ${dueColumns}`;
}
