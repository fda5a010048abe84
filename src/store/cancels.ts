import type { Sql } from "./database.ts";

/** Notes that a trace was called off, so that workers let go of what they hold of it. */
export async function noteCancel(tx: Sql, rootId: string): Promise<void> {
  await tx`insert into bus_cancels (root_id) values (${rootId}) on conflict do nothing`;
}

/** Of these traces, those that were called off. */
export async function cancelledOf(sql: Sql, rootIds: string[]): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    select root_id as id from bus_cancels where root_id = any (${rootIds}::bigint[])`;
  return rows.map(({ id }) => id);
}

/** The messages of a trace that have not ended. */
export async function unendedOf(tx: Sql, rootId: string, traceId: string): Promise<string[]> {
  const rows = await tx<{ id: string }[]>`
    select m.id from bus_messages m
    where m.trace_id = ${traceId} and m.root_id = ${rootId}
      and (select count(*) from bus_ends e where e.message_id = m.id) = 0`; // each by its id, however long the history is
  return rows.map(({ id }) => id);
}

/** Closes whatever a trace waits for: nobody is asked any more. */
export async function dropWaits(tx: Sql, traceId: string): Promise<void> {
  await tx`
    update bus_waits set answered_at = bus_now(), answered_by = 'cancelled'
    where trace_id = ${traceId} and answered_at is null`;
}

/** Messages whose time to live is over, each once. What is held now is left to its worker, or until its lease runs out. */
export async function expireDeadlines(tx: Sql, limit: number): Promise<string[]> {
  const rows = await tx<{ id: string }[]>`
    delete from bus_deadlines d
    where d.ctid = any (array(
      select ctid from bus_deadlines due
      where expires_at <= bus_now() and not exists (select from bus_held h where h.message_id = due.message_id)
      order by expires_at
      limit ${limit}
      for update skip locked))
    returning message_id as id`;
  return rows.map(({ id }) => id);
}
