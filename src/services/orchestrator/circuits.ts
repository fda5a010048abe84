import { addressOf } from "../../bus/roles.ts";
import { openCircuits } from "../../store/circuits.ts";
import type { Database } from "../../store/database.ts";
import type { Seen } from "../../store/standings.ts";

/** Adds to each agent the circuit of the lane where the work of this tenant would wait for it. */
export async function withCircuits(
  sql: Database,
  seen: Seen,
  { role, tenant }: { role: string; tenant: string },
): Promise<Seen> {
  const open = new Map((await openCircuits(sql)).map((circuit) => [circuit.key, circuit]));
  if (open.size === 0) return seen;
  const agents = await Promise.all(
    seen.agents.map(async (agent) => {
      const to = agent.reach.kind === "builtin" ? agent.reach.role : role;
      const lane = await addressOf(sql, { to, key: tenant }).catch(() => null); // nobody plays it yet
      const circuit = lane && open.get(`${lane.service}.${lane.role}.${lane.shard}`);
      if (!circuit) return agent;
      const { key, state, since } = circuit;
      return { ...agent, circuit: { key, state, since: since.toISOString() } };
    }),
  );
  return { ...seen, agents };
}
