import { array, type Sql } from "./database.ts";
import { type Claimed, messageColumns } from "./messages.ts";

/** Prolongs the leases that are still held. Answers the tokens that are. */
export async function extend(
  sql: Sql,
  { worker, tokens, leaseMs }: { worker: string; tokens: string[]; leaseMs: number },
): Promise<string[]> {
  const rows = await sql<{ token: string }[]>`
    update bus_leases set until = bus_now() + ${leaseMs} * interval '1 millisecond'
    where token = any (${array(tokens)}::bigint[]) and worker = ${worker}
    returning token`;
  return rows.map(({ token }) => token);
}

/**
 * Keeps a lease from going while one of its messages is settled; others of it may be settled at the same time, and its
 * worker may prolong it. Null: it is no longer held, or the attempt has ended, so nothing may be settled.
 */
export async function hold(tx: Sql, message: Claimed): Promise<{ claimedAt: string } | null> {
  const [held] = await tx<{ claimedAt: string }[]>`
    select claimed_at::text as "claimedAt" from bus_leases l
    where token = ${message.token} and worker = ${message.worker} and ${message.id} = any (message_ids)
      and not exists (select from bus_attempts a
                      where a.message_id = ${message.id} and a.attempts = ${message.attempts})
    for key share of l`;
  return held ?? null;
}

/**
 * Messages of these roles whose lease ran out, taken out of it, so that they can be settled as lost in the same
 * transaction. Messages of other roles stay in the lease for a worker of theirs.
 */
export async function lapsed(tx: Sql, roles: string[], limit: number): Promise<Lost[]> {
  return tx<Lost[]>`
    with gone as materialized (
      select token, worker, claimed_at, message_ids, attempts, lanes from bus_leases
      where until <= bus_now()
        and exists (select from bus_lanes l where l.id = any (lanes) and l.service || '.' || l.role = any (${roles}::text[]))
      order by token
      limit ${limit}
      for update skip locked
    ),
    open as materialized (
      select g.token, h.id, h.attempts, h.lane, l.service || '.' || l.role = any (${roles}::text[]) as ours
      from gone g
      cross join lateral unnest(g.message_ids, g.attempts, g.lanes) as h (id, attempts, lane)
      join bus_lanes l on l.id = h.lane
      where not exists (select from bus_attempts a where a.message_id = h.id and a.attempts = h.attempts)
    ),
    others as materialized (
      select token, array_agg(id) as ids, array_agg(attempts) as attempts, array_agg(lane) as lanes
      from open where not ours group by token
    ),
    left_to_others as (
      update bus_leases l set message_ids = o.ids, attempts = o.attempts, lanes = o.lanes
      from others o where l.token = o.token
    ),
    swept as (
      delete from bus_leases l using gone g where l.token = g.token and g.token not in (select token from others)
    )
    select ${messageColumns}, o.attempts, g.token, g.worker, g.claimed_at::text as "claimedAt"
    from open o
    join gone g using (token)
    join bus_messages m on m.id = o.id
    where o.ours`;
}

export type Lost = Claimed & { claimedAt: string };
