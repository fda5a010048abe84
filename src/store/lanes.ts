import type { Sql } from "./database.ts";

/** A role as the bus knows it. */
export type RoleRow = { service: string; role: string; shards: number; ordered: boolean };

/** One shard of one role. `mine`: this worker looks there first. */
export type Lane = { id: number; service: string; role: string; shard: number; mine: boolean };

/** A role that a worker plays. `shards` null: as many as it has, 4 when it is new. */
export type Declared = { role: string; shards: number | null; ordered: boolean };

/**
 * Makes sure that these roles exist with that many shards. Shards beyond a smaller number keep what they hold and take
 * nothing new; `ordered` is only ever switched on a role without messages under way, and is refused otherwise by doing
 * nothing.
 */
export async function declareRoles(sql: Sql, roles: Declared[]): Promise<void> {
  await sql`
    with wanted as (
      select split_part(d.role, '.', 1) as service, split_part(d.role, '.', 2) as role, d.ordered,
             d.shards as asked, coalesce(d.shards, r.shards, 4)::smallint as shards
      from jsonb_to_recordset(${JSON.stringify(roles)}::text::jsonb) as d(role text, shards smallint, ordered boolean)
      left join bus_roles r on r.service || '.' || r.role = d.role
    ),
    declared as (
      insert into bus_roles (service, role, shards, ordered)
      select service, role, shards, ordered from wanted
      order by service, role
      on conflict (service, role) do update
      set shards = excluded.shards,
          ordered = case
            when exists (select from bus_lines l where (l.service, l.role) = (bus_roles.service, bus_roles.role))
              then bus_roles.ordered
            else excluded.ordered
          end
      where (bus_roles.shards, bus_roles.ordered) is distinct from (excluded.shards, excluded.ordered)
    )
    insert into bus_lanes (service, role, shard)
    select service, role, n::smallint from wanted cross join lateral generate_series(0, shards - 1) n
    where not exists (select from bus_lanes l where (l.service, l.role, l.shard) = (wanted.service, wanted.role, n))
    order by service, role, n
    on conflict (service, role, shard) do nothing`;
}

/** Every role that was declared. */
export async function allRoles(sql: Sql): Promise<RoleRow[]> {
  return sql<RoleRow[]>`select service, role, shards, ordered from bus_roles order by service, role`;
}

/**
 * Keeps this worker's share of the lanes of its roles: as many as there are lanes for each worker that plays the role,
 * rounded up. What is over the share is let go, what nobody holds is taken. Answers all lanes of these roles.
 *
 * Being first is an advantage, not a right: any worker of the role may claim from any lane, so nothing waits for a lease,
 * nor this for the disk.
 */
export async function balanceLanes(
  sql: Sql,
  { worker, roles, leaseMs }: { worker: string; roles: string[]; leaseMs: number },
): Promise<Lane[]> {
  return sql<Lane[]>`
    with played as (
      select l.id, l.service, l.role, l.shard,
             case when l.until > bus_now() and (l.worker = ${worker} or exists (
               select from bus_workers w where w.id = l.worker and w.heartbeat_at > bus_now() - interval '15 seconds'
             )) then l.worker end as holder
      from bus_lanes l
      where l.service || '.' || l.role = any (${roles}::text[])
    ),
    shares as (
      select p.service, p.role, ceil(count(*) / greatest(1, (
               select count(*) from bus_workers w
               where p.service || '.' || p.role = any (w.roles)
                 and w.heartbeat_at > bus_now() - interval '15 seconds'
             ))::numeric) as most
      from played p
      group by p.service, p.role
    ),
    ranked as (
      select p.id, row_number() over (partition by p.service, p.role order by p.holder nulls last, p.shard) as place, s.most
      from played p join shares s using (service, role)
      where p.holder is null or p.holder = ${worker}
    ),
    wanted as (
      select l.id, r.place <= r.most as mine
      from bus_lanes l join ranked r using (id)
      for update of l skip locked
    ),
    moved as (
      update bus_lanes l
      set worker = case when w.mine then ${worker} end,
          until = case when w.mine then bus_now() + ${leaseMs} * interval '1 millisecond' end
      from wanted w
      where l.id = w.id and (w.mine or l.worker = ${worker})
      returning l.id, w.mine
    )
    select p.id, p.service, p.role, p.shard, coalesce(m.mine, false) as mine
    from played p left join moved m using (id)
    where set_config('synchronous_commit', 'off', true) is not null
    order by p.id`;
}

/** Lets go of every lane: the worker stops. */
export async function leaveLanes(sql: Sql, worker: string): Promise<void> {
  await sql`update bus_lanes set worker = null, until = null where worker = ${worker}`;
}
