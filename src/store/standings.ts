import type { Agent, AgentStats, Standing } from "../contracts/agent.ts";
import { agentColumns } from "./agents.ts";
import { part, type Sql } from "./database.ts";

/**
 * What is known of an agent now, beside its row: how long it has been silent, what it has in hand (counted up to four
 * times its capacity: beyond that it is as full as it can be; what waits for a person is in nobody's hand) and its record. Kept numbers and short index scans, so
 * that a decision costs the same after a million of them.
 */
const standing = part`
  greatest(0, extract(epoch from bus_now() - a.heartbeat_at) * 1000)::float8 as silent_ms,
  (select count(*)::int from (
     select from registry_decisions d
     where d.agent_id = a.id and d.agent_version = a.version and d.ended_at is null
       and not exists (select from bus_waits w
                       where w.trace_id = d.trace_id and w.kind = 'approval' and w.answered_at is null)
     order by d.agent_id, d.agent_version, d.trace_id -- as the index of open ones has them
     limit 4 * a.capacity) held) as in_flight,
  coalesce((select jsonb_agg(jsonb_build_object(
      'intent', s.intent, 'good', s.good, 'bad', s.bad, 'latency_ms', s.latency_ms,
      'at', to_char(s.at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'turn', s.turn) order by s.intent)
    from registry_stats s
    where s.agent_id = a.id and s.agent_version = a.version), '[]') as stats`;

/** Everybody registered for a role, able or not, with what is known of them at that moment. */
export type Seen = { at: Date; agents: (Standing & Pick<Agent, "reach" | "origin">)[] };

/** Looks at everybody registered for a role. */
export async function standings(sql: Sql, serviceRole: string): Promise<Seen> {
  const rows = await sql<(Seen["agents"][number] & { seen_at: Date })[]>`
    select ${agentColumns}, ${standing}, null as circuit, null as barred, clock.seen_at
    from (select bus_now() as seen_at) clock
    left join registry_agents a on a.service_role = ${serviceRole}
    order by a.id, a.version`;
  const [first] = rows;
  if (!first) throw new Error("a left join from one row answers one row");
  const agents = rows.filter(({ id }) => id !== null).map(({ seen_at, ...agent }) => agent);
  return { at: first.seen_at, agents };
}

/** An agent as it is shown. */
export type KnownAgent = Agent & { silent_ms: number; in_flight: number; stats: AgentStats[]; registered_at: Date };

/** Everybody registered (`id`, `serviceRole` null: any), with what is known of them now. */
export async function knownAgents(
  sql: Sql,
  { id, serviceRole }: { id: string | null; serviceRole: string | null },
): Promise<KnownAgent[]> {
  return sql<KnownAgent[]>`
    select ${agentColumns}, ${standing}, a.created_at as registered_at
    from registry_agents a
    where (${id}::text is null or a.id = ${id}) and (${serviceRole}::text is null or a.service_role = ${serviceRole})
    order by a.id, a.version`;
}
