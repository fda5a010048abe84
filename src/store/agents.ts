import type { Agent, AgentRef, AgentSpec, Paused } from "../contracts/agent.ts";
import { jsonText, part, type Sql } from "./database.ts";

/** An agent as `Agent` has it, in columns of `registry_agents a`. */
export const agentColumns = part`
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

/** Holds every other change of the registry until the transaction ends: what was checked stays so. */
export async function holdRegistry(tx: Sql): Promise<void> {
  await tx`select pg_advisory_xact_lock(hashtextextended('dagent.registry', 0))`;
}

/**
 * Puts an agent that a worker's configuration brings into the registry; it has just been heard from. Of one that is
 * known only what the configuration says is brought up to date: what an operator set (price, tenants, canary, enabled)
 * stays. True: it is new.
 */
export async function register(sql: Sql, agent: AgentSpec): Promise<boolean> {
  const { kind, ...settings } = agent.reach;
  const [row] = await sql<{ fresh: boolean }[]>`
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
        capacity = excluded.capacity, origin = 'config', heartbeat_at = bus_now()
    returning xmax = 0 as fresh`;
  return row?.fresh === true;
}

/** Puts an agent into the registry as it is said, whether it was known or not; it has just been heard from. */
export async function putAgent(tx: Sql, agent: AgentSpec): Promise<void> {
  const { kind, ...settings } = agent.reach;
  await tx`
    insert into registry_agents (id, version, service_role, intents, capabilities, languages, reach, settings, capacity,
                                 price_per_call_usd, price_per_1k_usd, tenants, canary_of_id, canary_of_version,
                                 canary_pct, mode, enabled, origin)
    values (${agent.id}, ${agent.version}, ${agent.service_role}, ${agent.intents}, ${agent.capabilities},
            ${agent.languages}, ${kind}, ${jsonText(settings)}::text::jsonb, ${agent.capacity},
            ${agent.price.per_call_usd}, ${agent.price.per_1k_tokens_usd}, ${agent.tenants},
            ${agent.canary_of?.agent_id ?? null}, ${agent.canary_of?.agent_version ?? null},
            ${agent.canary_pct}, ${agent.mode}, ${agent.enabled}, 'api')
    on conflict (id, version) do update
    set service_role = excluded.service_role, intents = excluded.intents, capabilities = excluded.capabilities,
        languages = excluded.languages, reach = excluded.reach, settings = excluded.settings,
        capacity = excluded.capacity, price_per_call_usd = excluded.price_per_call_usd,
        price_per_1k_usd = excluded.price_per_1k_usd, tenants = excluded.tenants,
        canary_of_id = excluded.canary_of_id, canary_of_version = excluded.canary_of_version,
        canary_pct = excluded.canary_pct, mode = excluded.mode, enabled = excluded.enabled`;
}

/** Takes an agent out of the registry, and what is known of it. */
export async function removeAgent(tx: Sql, { agent_id, agent_version }: AgentRef): Promise<void> {
  await tx`delete from registry_agents where id = ${agent_id} and version = ${agent_version}`;
}

/** Lays an agent to rest with the evidence against it; null wakes it. */
export async function pauseAgent(
  tx: Sql,
  { agent_id, agent_version }: AgentRef,
  paused: Omit<Paused, "at"> | null,
): Promise<void> {
  await tx`
    update registry_agents
    set paused_at = case when ${paused !== null} then bus_now() end, paused_by = ${paused?.by ?? null},
        evidence = ${paused ? jsonText(paused.evidence) : null}::text::jsonb
    where id = ${agent_id} and version = ${agent_version}`;
}

/** Makes the canaries of one agent the canaries of another. */
export async function handOverCanaries(tx: Sql, from: AgentRef, to: AgentRef): Promise<void> {
  await tx`
    update registry_agents
    set canary_of_id = ${to.agent_id}, canary_of_version = ${to.agent_version}
    where canary_of_id = ${from.agent_id} and canary_of_version = ${from.agent_version}
      and (id, version) <> (${to.agent_id}, ${to.agent_version})`;
}

/**
 * Says that these agents are alive. Rows that somebody else is changing are passed over: the next heartbeat comes soon,
 * and workers that say the same at the same moment never wait for each other.
 */
export async function heard(sql: Sql, agents: AgentRef[]): Promise<void> {
  await sql`
    with free as (
      select id, version
      from registry_agents
      where (id, version) in (select r ->> 'agent_id', r ->> 'agent_version'
                              from jsonb_array_elements(${jsonText(agents)}::text::jsonb) r)
      for update skip locked
    )
    update registry_agents a
    set heartbeat_at = bus_now()
    from free
    where (a.id, a.version) = (free.id, free.version)`;
}

/**
 * Says that the agents somebody registered which this worker can reach are alive: builtin ones whose role it plays,
 * models it has, and, when it plays codegen.generate, models at an address of their own. Passes over rows like `heard`.
 */
export async function heardAround(sql: Sql, { roles, models }: { roles: string[]; models: string[] }): Promise<void> {
  await sql`
    with free as (
      select id, version
      from registry_agents
      where origin = 'api'
        and ((reach = 'builtin' and settings ->> 'role' = any (${roles}))
          or (reach = 'openai' and settings ->> 'model' = any (${models}))
          or (reach = 'openai' and settings ->> 'base_url' is not null and 'codegen.generate' = any (${roles})))
      for update skip locked
    )
    update registry_agents a
    set heartbeat_at = bus_now()
    from free
    where (a.id, a.version) = (free.id, free.version)`;
}

/** One agent in one version; null when it is not registered. */
export async function agentOf(sql: Sql, id: string, version: string): Promise<Agent | null> {
  const [agent] = await sql<Agent[]>`
    select ${agentColumns}
    from registry_agents a
    where a.id = ${id} and a.version = ${version}`;
  return agent ?? null;
}

/** Everybody registered. */
export async function allAgents(sql: Sql): Promise<Agent[]> {
  return sql<Agent[]>`
    select ${agentColumns}
    from registry_agents a
    order by a.id, a.version`;
}

/**
 * Agents with an address to ask whether they live, that nobody has asked for `everyMs`. Whoever gets them asks them: of
 * many workers one.
 */
export async function dueProbes(sql: Sql, everyMs: number): Promise<(AgentRef & { url: string })[]> {
  return sql<(AgentRef & { url: string })[]>`
    with due as (
      select id, version
      from registry_agents
      where settings ->> 'probe' is not null and enabled
        and (probed_at is null or probed_at <= bus_now() - ${everyMs} * interval '1 millisecond')
      for update skip locked
    )
    update registry_agents a
    set probed_at = bus_now()
    from due
    where (a.id, a.version) = (due.id, due.version)
    returning a.id as agent_id, a.version as agent_version, a.settings ->> 'probe' as url`;
}
