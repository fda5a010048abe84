import type { Sql } from "./database.ts";

/** What waits and what is held on one lane. */
export type Backlog = {
  service: string;
  role: string;
  shard: number;
  queued: number; // due or not
  due: number;
  claimed: number;
};

/**
 * Folds what changed since the last time into the counters. One process at a time; the others do nothing. The counters
 * and what is not yet folded always add up to the truth, so when this runs is a question of speed only; nor does it
 * wait for the disk.
 */
export async function foldDeltas(sql: Sql): Promise<void> {
  await sql`
    with mine as materialized (
      select pg_try_advisory_xact_lock(hashtextextended('dagent.fold', 0)) as locked,
             set_config('synchronous_commit', 'off', true)
    ),
    taken as (
      delete from bus_deltas where (select locked from mine) returning *
    ),
    backlog as (
      insert into bus_backlog as b (lane, ready, delayed, held)
      select lane, sum(ready), sum(delayed), sum(held) from taken group by lane order by lane
      on conflict (lane) do update
      set ready = b.ready + excluded.ready, delayed = b.delayed + excluded.delayed, held = b.held + excluded.held
    )
    , calls as (
      insert into bus_calls as c (at, lane, ok, failed)
      select date_trunc('second', at), lane, sum(done), sum(failed)
      from taken
      group by 1, 2
      having sum(done) + sum(failed) > 0
      order by 1, 2
      on conflict (at, lane) do update set ok = c.ok + excluded.ok, failed = c.failed + excluded.failed
    ), forgotten as (
      delete from bus_calls where at < bus_now() - interval '1 hour' and (select locked from mine)
    )
    insert into bus_tallies as t (at, lane, accepted, done, retried, dead, expired, cancelled)
    select to_timestamp(floor(extract(epoch from at) / 10) * 10), lane, sum(accepted), sum(done), sum(retried), sum(dead),
           sum(expired), sum(cancelled)
    from taken
    group by 1, 2
    having sum(accepted) + sum(done) + sum(retried) + sum(dead) + sum(expired) + sum(cancelled) > 0
    order by 1, 2
    on conflict (at, lane) do update
    set accepted = t.accepted + excluded.accepted, done = t.done + excluded.done, retried = t.retried + excluded.retried,
        dead = t.dead + excluded.dead, expired = t.expired + excluded.expired, cancelled = t.cancelled + excluded.cancelled`;
}

/** What waits and what is held, for each service, role and shard that has any. Exact, and as fast at a million as at ten. */
export async function backlogs(sql: Sql): Promise<Backlog[]> {
  return sql<Backlog[]>`
    select l.service, l.role, l.shard, (sum(c.ready) + sum(c.delayed))::float8 as queued, sum(c.ready)::float8 as due,
           sum(c.held)::float8 as claimed
    from (
      select lane, ready, delayed, held from bus_backlog
      union all
      select lane, ready, delayed, held from bus_deltas
    ) c
    join bus_lanes l on l.id = c.lane
    group by l.service, l.role, l.shard
    having sum(c.ready) <> 0 or sum(c.delayed) <> 0 or sum(c.held) <> 0
    order by l.service, l.role, l.shard`;
}

/** How long the oldest due message of each lane has waited since it was stored, in seconds. Only lanes that have one. */
export async function oldestDue(sql: Sql): Promise<{ key: string; waitedS: number }[]> {
  return sql<{ key: string; waitedS: number }[]>`
    select l.service || '.' || l.role || '.' || l.shard as key,
           max(extract(epoch from bus_now() - m.created_at))::float8 as "waitedS"
    from bus_lanes l
    cross join lateral (
      with recursive head as (
        (select priority, tenant, message_ids[1] as message_id, 1 as hops from bus_ready where lane = l.id
         order by priority desc, tenant, seq limit 1)
        union all
        select found.priority, found.tenant, found.message_id, head.hops + 1
        from head cross join lateral (
          (select priority, tenant, message_ids[1] as message_id from bus_ready b
           where b.lane = l.id and b.priority = head.priority and b.tenant > head.tenant order by b.tenant, b.seq limit 1)
          union all
          (select priority, tenant, message_ids[1] as message_id from bus_ready b
           where b.lane = l.id and b.priority < head.priority order by b.priority desc, b.tenant, b.seq limit 1)
          limit 1
        ) found
        where head.hops < 100
      )
      select message_id from head
    ) heads
    join bus_messages m on m.id = heads.message_id
    group by l.service, l.role, l.shard`;
}
