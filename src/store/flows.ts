import { array, type Sql } from "./database.ts";
import type { Flow } from "./messages.ts";

/** Who has due messages on these lanes: found by hopping from tenant to tenant. */
export async function flowsOn(sql: Sql, lanes: number[]): Promise<Flow[]> {
  return sql<Flow[]>`
    select heads.lane, heads.priority, heads.tenant
    from unnest(${array(lanes)}::integer[]) as l (id)
    cross join lateral (
      with recursive head as (
        (select lane, priority, tenant from bus_ready where lane = l.id order by priority desc, tenant, seq limit 1)
        union all
        select found.lane, found.priority, found.tenant
        from head cross join lateral (
          (select lane, priority, tenant from bus_ready b
           where b.lane = head.lane and b.priority = head.priority and b.tenant > head.tenant
           order by b.tenant, b.seq limit 1)
          union all
          (select lane, priority, tenant from bus_ready b
           where b.lane = head.lane and b.priority < head.priority
           order by b.priority desc, b.tenant, b.seq limit 1)
          limit 1
        ) found
      )
      select * from head
    ) heads`;
}

/** Where the queue's order is settled: `seq` is the last one drawn, `next` and `oldest` bound the open transactions. */
export async function watermark(sql: Sql): Promise<{ seq: string; next: string; oldest: string }> {
  const [mark] = await sql<{ seq: string; next: string; oldest: string }[]>`
    select s.last_value as seq, pg_snapshot_xmax(now.snapshot)::text as next, pg_snapshot_xmin(now.snapshot)::text as oldest
    from bus_ids s cross join (select pg_current_snapshot() as snapshot) now`;
  if (!mark) throw new Error("a sequence has one row");
  return mark;
}

/** Makes due what has become due on these lanes. Answers where, and how long until the next is, in milliseconds. */
export async function promote(sql: Sql, lanes: number[]): Promise<{ flows: Flow[]; nextMs: number | null }> {
  const rows = await sql<{ lane: number | null; priority: number; tenant: string; nextMs: number | null }[]>`
    with due as (
      delete from bus_delayed d
      where d.ctid = any (array(
        select d.ctid from unnest(${array(lanes)}::integer[]) as l (id)
        cross join lateral (
          select ctid from bus_delayed where lane = l.id and due_at <= bus_now() order by due_at limit 1000
          for update skip locked
        ) d))
      returning *
    ),
    readied as (
      insert into bus_ready (lane, priority, tenant, message_ids, attempts)
      select lane, priority, tenant, array[message_id], attempts from due order by due_at, message_id
    ),
    moved as (
      insert into bus_deltas (lane, ready, delayed) select lane, count(*), -count(*) from due group by lane
    )
    select lane, priority, tenant, null::float8 as "nextMs" from due group by lane, priority, tenant
    union all
    select null, null, null, extract(epoch from min(n.due_at) - bus_now())::float8 * 1000
    from unnest(${array(lanes)}::integer[]) as l (id)
    cross join lateral (
      select due_at from bus_delayed where lane = l.id and due_at > bus_now() order by due_at limit 1
    ) n`;
  const flows = rows.flatMap(({ lane, priority, tenant }) => (lane === null ? [] : [{ lane, priority, tenant }]));
  return { flows, nextMs: rows.find(({ lane }) => lane === null)?.nextMs ?? null };
}
