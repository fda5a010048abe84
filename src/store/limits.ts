import type { Rate } from "../contracts/policy.ts";
import { part, type Sql } from "./database.ts";

/** How full a lane is. `loose`: rows that nobody has folded into the counters yet. */
export type Fill = { lane: number; waiting: number; ready: number; loose: number };

/** What waits on one lane, exact and from its counters, whatever waits there; null: there is no such lane. */
export async function laneFill(
  sql: Sql,
  { service, role, shard }: { service: string; role: string; shard: number },
): Promise<Fill | null> {
  const [fill] = await sql<Fill[]>`
    select l.id as lane, coalesce(sum(c.ready + c.delayed), 0)::float8 as waiting,
           coalesce(sum(c.ready), 0)::float8 as ready, count(*) filter (where c.loose)::int as loose
    from bus_lanes l
    left join lateral (
      select ready, delayed, false as loose from bus_backlog where lane = l.id
      union all
      select ready, delayed, true from bus_deltas where lane = l.id
    ) c on true
    where (l.service, l.role, l.shard) = (${service}, ${role}, ${shard})
    group by l.id`;
  return fill ?? null;
}

/** Whether a tenant has `most` messages due on a lane, or more. Looks at no more than that many of each priority. */
export async function hasDue(
  sql: Sql,
  { lane, tenant, most }: { lane: number; tenant: string; most: number },
): Promise<boolean> {
  const [row] = await sql<{ due: number }[]>`
    select sum(n)::float8 as due
    from generate_series(0, 9) p
    cross join lateral (
      select sum(cardinality(message_ids)) as n from (
        select message_ids from bus_ready where lane = ${lane} and priority = p and tenant = ${tenant} limit ${most}
      ) seen
    ) counted`;
  return (row?.due ?? 0) >= most;
}

/**
 * Takes one token of the bucket of a tenant or of a role, which holds `burst` and gains `per_s` a second. Answers null when
 * there was one, and else in how many milliseconds there will be.
 */
export async function takeToken(
  sql: Sql,
  whose: { tenant: string } | { role: string },
  { per_s, burst }: Rate,
): Promise<number | null> {
  const { buckets, key, name } =
    "tenant" in whose
      ? { buckets: part`rate_buckets`, key: part`tenant`, name: whose.tenant }
      : { buckets: part`role_buckets`, key: part`role`, name: whose.role };
  const [row] = await sql<{ taken: boolean; tokens: number }[]>`
    with took as (
      insert into ${buckets} as b (${key}, tokens) values (${name}, ${burst}::float8 - 1)
      on conflict (${key}) do update
      set tokens = least(${burst}, b.tokens + greatest(0, extract(epoch from bus_now() - b.at)) * ${per_s}::float8) - 1,
          at = greatest(b.at, bus_now())
      where least(${burst}, b.tokens + greatest(0, extract(epoch from bus_now() - b.at)) * ${per_s}::float8) >= 1
      returning tokens
    )
    select true as taken, tokens from took
    union all
    select false, b.tokens + greatest(0, extract(epoch from bus_now() - b.at)) * ${per_s}::float8
    from ${buckets} b
    where b.${key} = ${name} and not exists (select from took)`;
  if (row?.taken) return null;
  // Without a row the bucket was made beside us a moment ago: then at most one token is missing.
  return Math.max(1, Math.ceil(((1 - Math.min(1, row?.tokens ?? 0)) / per_s) * 1000));
}
