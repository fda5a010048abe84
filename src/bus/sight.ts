import type { Reach } from "../contracts/agent.ts";
import { openCircuits } from "../store/circuits.ts";
import type { Database } from "../store/database.ts";
import { type Seen, standings } from "../store/standings.ts";
import { addressOf } from "./roles.ts";

type Looking = { role: string; tenant: string; refusesAddress: (url: string) => string | null };

/**
 * Everybody registered for a role as a decision for this tenant meets them: with the circuits on their way, and whether
 * their address may be called.
 */
export async function sightOf(sql: Database, { role, tenant, refusesAddress }: Looking): Promise<Seen> {
  const [met, circuits] = await Promise.all([standings(sql, role), openCircuits(sql)]);
  const seen = { ...met, agents: met.agents.map((agent) => withBar(agent, refusesAddress)) };
  if (circuits.length === 0) return seen;
  const open = new Map(circuits.map((circuit) => [circuit.key, circuit]));
  const laneOf = async (to: string) => {
    const lane = await addressOf(sql, { to, key: tenant }).catch(() => null); // nobody plays it yet
    return lane && `${lane.service}.${lane.role}.${lane.shard}`;
  };
  const agents = await Promise.all(
    seen.agents.map(async (agent) => {
      const lanes = await Promise.all(wayTo(agent.reach, role).map(laneOf));
      const met = lanes.flatMap((lane) => (lane && open.get(lane)) || []);
      const circuit = met.find(({ state }) => state === "open") ?? met[0];
      if (!circuit) return agent;
      const { key, state, since } = circuit;
      return { ...agent, circuit: { key, state, since: since.toISOString() } };
    }),
  );
  return { ...seen, agents };
}

function withBar(agent: Seen["agents"][number], refusesAddress: Looking["refusesAddress"]): Seen["agents"][number] {
  const url = urlOf(agent.reach);
  const barred = url === null ? null : refusesAddress(url);
  return barred === null ? agent : { ...agent, barred };
}

function urlOf(reach: Reach): string | null {
  if (reach.kind === "builtin") return null;
  return reach.kind === "openai" ? reach.base_url : reach.url;
}

/** The roles through which work comes to an agent. */
function wayTo(reach: Reach, role: string): string[] {
  if (reach.kind === "builtin") return [role, reach.role];
  return reach.kind === "openai" ? [role, "codegen.generate"] : [role];
}
