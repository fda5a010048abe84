import { part, type Sql } from "./database.ts";

/** What became of a group of decisions: of those that have in common what is not null. */
export type GroupNumbers = {
  copy: boolean; // copies for shadows
  intent: string | null;
  tenant: string | null;
  agent_id: string | null;
  agent_version: string | null;
  decisions: number;
  open: number;
  good: number;
  bad: number;
  void: number;
  p50: number | null;
  p95: number | null;
  tokens: number | null;
  cost_usd: number | null;
  explored: number;
  canary: number;
  fallbacks: number;
  compared: number; // copies whose end stands beside what the caller was answered
  same_outcome: number;
  same_text: number;
};

/**
 * What became of the decisions of the last `windowS` seconds (`tenant` null: of all tenants): all of them, by intent, by
 * tenant and by agent and version, in one pass along the index (at); copies for shadows in groups of their own.
 */
export async function decisionNumbers(
  sql: Sql,
  { windowS, tenant }: { windowS: number; tenant: string | null },
): Promise<GroupNumbers[]> {
  const counts = part`ended_at is not null and outcome <> 'void'`;
  return sql<GroupNumbers[]>`
    select shadow_of is not null as copy, intent, tenant, agent_id, agent_version,
           count(*)::float8 as decisions,
           count(*) filter (where ended_at is null)::float8 as open,
           count(*) filter (where outcome = 'good')::float8 as good,
           count(*) filter (where outcome = 'bad')::float8 as bad,
           count(*) filter (where outcome = 'void')::float8 as void,
           percentile_cont(0.5) within group (order by latency_ms) filter (where ${counts}) as p50,
           percentile_cont(0.95) within group (order by latency_ms) filter (where ${counts}) as p95,
           sum(tokens)::float8 as tokens, sum(cost_usd) as cost_usd,
           count(*) filter (where explored)::float8 as explored,
           count(*) filter (where canary)::float8 as canary,
           count(fallback_of)::float8 as fallbacks, count(compared)::float8 as compared,
           count(*) filter (where (compared ->> 'same_outcome')::boolean)::float8 as same_outcome,
           count(*) filter (where (compared ->> 'same_text')::boolean)::float8 as same_text
    from registry_decisions
    where at > bus_now() - ${windowS} * interval '1 second'
      and (${tenant}::text is null or tenant = ${tenant})
    group by shadow_of is not null, grouping sets ((), (intent), (tenant), (agent_id, agent_version))
    order by decisions desc, agent_id, agent_version, intent, tenant`;
}

/** How often nobody was able in the last `windowS` seconds. */
export async function refusedDecisions(
  sql: Sql,
  { windowS, tenant }: { windowS: number; tenant: string | null },
): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::float8 as count
    from bus_events
    where kind in ('orchestrate_retry', 'orchestrate_failed')
      and at > clock_timestamp() - ${windowS} * interval '1 second'
      and details #>> '{failure,code}' = 'no_candidate'
      and (${tenant}::text is null or tenant = ${tenant})`;
  return row?.count ?? 0;
}
