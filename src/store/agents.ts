import type { Agent, AgentRef, AgentSpec, Standing } from "../contracts/agent.ts";
import { jsonText, part, type Sql } from "./database.ts";

const agentColumns = part`
  a.id, a.version, a.service_role, a.intents, a.capabilities, a.languages,
  jsonb_build_object('kind', a.reach) || a.settings as reach, a.capacity,
  jsonb_build_object('per_call_usd', a.price_per_call_usd, 'per_1k_tokens_usd', a.price_per_1k_usd) as price,
  a.tenants,
  case when a.canary_of_id is not null
    then jsonb_build_object('agent_id', a.canary_of_id, 'agent_version', a.canary_of_version) end as canary_of,
  a.canary_pct::float8 as canary_pct, a.mode, a.enabled, a.origin,
  case when a.paused_at is not null then jsonb_build_object(
    'at', to_char(a.paused_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'by', a.paused_by, 'evidence', a.evidence) end as paused`;

/**
 * Puts an agent that a worker's configuration brings into the registry; it has just been heard from. Of one that is
 * known only what the configuration says is brought up to date: what an operator set (price, tenants, canary, enabled)
 * stays.
 */
export async function register(sql: Sql, agent: AgentSpec): Promise<void> {
  const { kind, ...settings } = agent.reach;
  await sql`
    insert into registry_agents (id, version, service_role, intents, capabilities, languages, reach, settings, capacity,
                                 price_per_call_usd, price_per_1k_usd, tenants, canary_of_id, canary_of_version,
                                 canary_pct, mode, enabled, origin)
    values (${agent.id}, ${agent.version}, ${agent.service_role}, ${agent.intents}, ${agent.capabilities},
            ${agent.languages}, ${kind}, ${jsonText(settings)}::text::jsonb, ${agent.capacity},
            ${agent.price.per_call_usd}, ${agent.price.per_1k_tokens_usd}, ${agent.tenants},
            ${agent.canary_of?.agent_id ?? null}, ${agent.canary_of?.agent_version ?? null},
            ${agent.canary_pct}, ${agent.mode}, ${agent.enabled}, 'config')
    on conflict (id, version) do update
    set service_role = excluded.service_role, intents = excluded.intents, capabilities = excluded.capabilities,
        languages = excluded.languages, reach = excluded.reach, settings = excluded.settings,
        capacity = excluded.capacity, heartbeat_at = bus_now()`;
}

/** Says that these agents are alive. */
export async function heard(sql: Sql, agents: AgentRef[]): Promise<void> {
  await sql`
    update registry_agents
    set heartbeat_at = bus_now()
    where (id, version) in (select r ->> 'agent_id', r ->> 'agent_version'
                            from jsonb_array_elements(${jsonText(agents)}::text::jsonb) r)`;
}

/** One agent in one version; null when it is not registered. */
export async function agentOf(sql: Sql, id: string, version: string): Promise<Agent | null> {
  const [agent] = await sql<Agent[]>`
    select ${agentColumns}
    from registry_agents a
    where a.id = ${id} and a.version = ${version}`;
  return agent ?? null;
}

/** Everybody registered for a role, able or not, with what is known of them now. */
export async function standings(sql: Sql, serviceRole: string): Promise<Standing[]> {
  return sql<Standing[]>`
    select a.id, a.version, a.service_role, a.intents, a.capabilities, a.languages, a.capacity,
           jsonb_build_object('per_call_usd', a.price_per_call_usd, 'per_1k_tokens_usd', a.price_per_1k_usd) as price,
           a.tenants,
           case when a.canary_of_id is not null
             then jsonb_build_object('agent_id', a.canary_of_id, 'agent_version', a.canary_of_version) end as canary_of,
           a.canary_pct::float8 as canary_pct, a.mode, a.enabled,
           case when a.paused_at is not null then jsonb_build_object(
             'at', to_char(a.paused_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
             'by', a.paused_by, 'evidence', a.evidence) end as paused,
           greatest(0, extract(epoch from bus_now() - a.heartbeat_at) * 1000)::float8 as silent_ms,
           held.count::int as in_flight, null as circuit, ends.stats
    from registry_agents a
    cross join lateral (
      select count(*) from bus_leases l join bus_messages m on m.id = l.message_id
      where m.assignment ->> 'agent_id' = a.id and m.assignment ->> 'agent_version' = a.version
    ) held
    cross join lateral (
      select coalesce(jsonb_agg(jsonb_build_object('intent', intent, 'good', good, 'bad', bad, 'latency_ms', null,
                                                   'at', at)), '[]') as stats
      from (
        select intent, count(*) filter (where status = 'done') as good,
               count(*) filter (where status = 'failed') as bad,
               to_char(max(ended_at) at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at
        from (
          select t.intent, t.status, t.ended_at
          from bus_events e join bus_traces t on t.trace_id = e.trace_id
          where e.kind = 'orchestrate_decision' and t.status <> 'open'
            and e.details -> 'chosen' ->> 'agent_id' = a.id
            and e.details -> 'chosen' ->> 'agent_version' = a.version
          order by e.id desc
          limit 200
        ) latest
        group by intent
      ) by_intent
    ) ends
    where a.service_role = ${serviceRole}
    order by a.id, a.version`;
}
