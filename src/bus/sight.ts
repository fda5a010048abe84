import type { Reach } from "../contracts/agent.ts";
import { openCircuits } from "../store/circuits.ts";
import type { Database } from "../store/database.ts";
import { type Seen, standings } from "../store/standings.ts";
import { addressOf } from "./roles.ts";

/** Everybody registered for a role as a decision for this tenant meets them: with the circuits on their way. */
export async function sightOf(sql: Database, { role, tenant }: { role: string; tenant: string }): Promise<Seen> {
  const [seen, circuits] = await Promise.all([standings(sql, role), openCircuits(sql)]);
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

/** The roles through which work comes to an agent. */
function wayTo(reach: Reach, role: string): string[] {
  if (reach.kind === "builtin") return [role, reach.role];
  return reach.kind === "openai" ? [role, "codegen.generate"] : [role];
}
