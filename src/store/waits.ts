import { jsonText, type Sql } from "./database.ts";
import type { Draft } from "./messages.ts";

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
};

/** Writes that a trace waits, in the transaction that settles the message that asked. */
export async function openWait(tx: Sql, wait: Opening): Promise<string> {
  const [row] = await tx<{ id: string }[]>`
    insert into bus_waits (kind, tenant, trace_id, message_id, asked, secret_hash, next, on_expiry, expires_at)
    values (${wait.kind}, ${wait.tenant}, ${wait.traceId}, ${wait.messageId}, ${jsonText(wait.asked)}::text::jsonb,
            ${wait.secretHash}, ${jsonText(wait.next)}::text::jsonb,
            ${wait.onExpiry ? jsonText(wait.onExpiry) : null}::text::jsonb,
            bus_now() + ${wait.expiresMs} * interval '1 millisecond')
    returning id`;
  if (!row) throw new Error("an insert answers its row");
  return row.id;
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

export type Due = { id: string; traceId: string; messageId: string; next: Draft; onExpiry: Draft | null };

/** Answers a wait. Null: it is answered already, or has expired. */
export async function closeWait(
  tx: Sql,
  { id, answer, by }: { id: string; answer: Record<string, unknown>; by: string },
): Promise<Due | null> {
  const [wait] = await tx<Due[]>`
    update bus_waits set answered_at = bus_now(), answer = ${jsonText(answer)}::text::jsonb, answered_by = ${by}
    where id = ${id} and answered_at is null and expires_at > bus_now()
    returning id, trace_id as "traceId", message_id as "messageId", next, on_expiry as "onExpiry"`;
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
    returning id, trace_id as "traceId", message_id as "messageId", next, on_expiry as "onExpiry"`;
}
