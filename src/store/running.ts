import type { Claim, Wanted } from "./claims.ts";
import { nothing } from "./claims.ts";
import type { Database, Sql } from "./database.ts";
import { step } from "./step.ts";

/** At most `most` messages that count under `name` are in hand at one time, over all workers. */
export type Cap = { name: string; most: number };

/** How many messages that count under these names are in hand just now. A name without any is missing. */
export async function runningNow(sql: Sql, names: string[]): Promise<Map<string, number>> {
  const rows = await sql<{ name: string; running: number }[]>`
    select r.name, count(*)::int as running
    from bus_running r
    join bus_leases l using (token)
    cross join lateral unnest(l.message_ids, l.attempts) as h (id, attempts)
    where r.name = any (${names}::text[])
      and not exists (select from bus_attempts a where a.message_id = h.id and a.attempts = h.attempts)
    group by r.name`;
  return new Map(rows.map(({ name, running }) => [name, running]));
}

/**
 * Claims what all of these caps leave room for; every flow that is asked for counts under all of them. Whoever else claims
 * under one of the names waits meanwhile, so that no cap is passed. `full`: there was no room.
 */
export async function claimUnder(sql: Database, caps: Cap[], wanted: Wanted): Promise<Claim & { full: boolean }> {
  const names = caps.map(({ name }) => name).sort();
  return sql.begin(async (tx) => {
    for (const name of names) await tx`select pg_advisory_xact_lock(hashtextextended(${`bus_running ${name}`}, 0))`;
    const running = await runningNow(tx, names);
    const limit = Math.min(wanted.limit, ...caps.map(({ name, most }) => most - (running.get(name) ?? 0)));
    if (limit <= 0) return { ...nothing, full: true };
    const claim = await step(tx, { ...wanted, limit, own: false, done: [], packs: [], freed: [] });
    const [first] = claim.taken;
    if (!first) return { ...claim, full: false };
    await tx`
      with swept as (
        delete from bus_running r
        where r.name = any (${names}::text[]) and not exists (select from bus_leases l where l.token = r.token)
      )
      insert into bus_running (name, token) select name, ${first.token} from unnest(${names}::text[]) name`;
    return { ...claim, full: claim.leased === limit };
  });
}
