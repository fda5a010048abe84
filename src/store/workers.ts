import { jsonText, type Sql } from "./database.ts";

/** A process that does work, as its last heartbeat described it. */
export type WorkerRow = {
  id: string;
  kind: "worker" | "sandbox";
  roles: string[];
  facts: Record<string, unknown>;
  started_at: Date;
  heartbeat_at: Date;
};

/**
 * Says that a worker is alive, without waiting for the disk. Rows of workers that have been silent for an hour are
 * forgotten on the way.
 */
export async function beat(
  sql: Sql,
  { id, kind, roles, facts }: Pick<WorkerRow, "id" | "kind" | "roles" | "facts">,
): Promise<void> {
  await sql`
    with forgotten as (
      delete from bus_workers where heartbeat_at < bus_now() - interval '1 hour' and id <> ${id}
    )
    insert into bus_workers (id, kind, roles, facts)
    select ${id}, ${kind}, ${roles}::text[], ${jsonText(facts)}::text::jsonb
    where set_config('synchronous_commit', 'off', true) is not null
    on conflict (id) do update
    set roles = excluded.roles, facts = excluded.facts, heartbeat_at = bus_now()`;
}

/** Workers heard from in the last 15 seconds. */
export async function aliveWorkers(sql: Sql): Promise<WorkerRow[]> {
  return sql<WorkerRow[]>`
    select id, kind, roles, facts, started_at, heartbeat_at
    from bus_workers
    where heartbeat_at > bus_now() - interval '15 seconds'
    order by id`;
}

/** Says that a worker has left of its own will. */
export async function leave(sql: Sql, id: string): Promise<void> {
  await sql`delete from bus_workers where id = ${id}`;
}
