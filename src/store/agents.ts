import type { Agent, Standing } from "../contracts/agent.ts";
import type { Sql } from "./database.ts";

/** Puts an agent in the registry, or brings its row up to date; either way it has just been heard from. */
export async function register(sql: Sql, agent: Agent): Promise<void> {
  await sql`
    insert into registry_agents (id, version, service_role, intents, reach, target, capacity, price_usd,
                                 tenants, canary_pct, enabled)
    values (${agent.id}, ${agent.version}, ${agent.serviceRole}, ${agent.intents}, ${agent.reach}, ${agent.target},
            ${agent.capacity}, ${agent.priceUsd}, ${agent.tenants}, ${agent.canaryPct}, ${agent.enabled})
    on conflict (id, version) do update
    set service_role = excluded.service_role, intents = excluded.intents, reach = excluded.reach,
        target = excluded.target, capacity = excluded.capacity, price_usd = excluded.price_usd,
        tenants = excluded.tenants, canary_pct = excluded.canary_pct, enabled = excluded.enabled,
        heartbeat_at = bus_now()`;
}

/** Says that these agents are alive. */
export async function heard(sql: Sql, ids: string[]): Promise<void> {
  await sql`update registry_agents set heartbeat_at = bus_now() where id = any (${ids})`;
}

/** One agent in one version; null when it is not registered. */
export async function agentOf(sql: Sql, id: string, version: string): Promise<Agent | null> {
  const [agent] = await sql<Agent[]>`
    select id, version, service_role as "serviceRole", intents, reach, target, capacity,
           price_usd::float8 as "priceUsd", tenants, canary_pct as "canaryPct", enabled
    from registry_agents
    where id = ${id} and version = ${version}`;
  return agent ?? null;
}

/** Everybody registered for a role, able or not, with what is known of them now. */
export async function standings(sql: Sql, serviceRole: string): Promise<Standing[]> {
  return sql<Standing[]>`
    select a.id, a.version, a.service_role as "serviceRole", a.intents, a.reach, a.target, a.capacity,
           a.price_usd::float8 as "priceUsd", a.tenants, a.canary_pct as "canaryPct", a.enabled,
           (extract(epoch from bus_now() - a.heartbeat_at) * 1000)::float8 as "silentMs",
           (held.count / a.capacity::float8) as load,
           coalesce(ends.done, 0)::int as done, coalesce(ends.dead, 0)::int as dead
    from registry_agents a
    cross join lateral (
      select count(*) from bus_leases l join bus_messages m on m.id = l.message_id
      where m.assignment ->> 'agent_id' = a.id and m.assignment ->> 'agent_version' = a.version
    ) held
    cross join lateral (
      select count(*) filter (where status = 'done') as done, count(*) filter (where status = 'failed') as dead
      from (
        select t.status
        from bus_events e join bus_traces t on t.trace_id = e.trace_id
        where e.kind = 'orchestrate_decision' and t.status <> 'open'
          and e.details -> 'chosen' ->> 'agent_id' = a.id
          and e.details -> 'chosen' ->> 'agent_version' = a.version
        order by e.id desc
        limit 200
      ) latest
    ) ends
    where a.service_role = ${serviceRole}
    order by a.id, a.version`;
}
