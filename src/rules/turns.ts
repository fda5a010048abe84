import type { AgentRef, Standing } from "../contracts/agent.ts";
import type { DecisionInputs } from "../contracts/decision.ts";
import { canaryDraw, type Slice, slicesOf } from "./canary.ts";
import type { Excluded } from "./exclude.ts";

/** What the canary draw says of an agent: that it cannot be chosen for this key, or whose place it takes. */
export type Turn = { excluded?: Excluded; standsFor?: AgentRef; words?: string };

export type Turns = { turns: Map<Standing, Turn>; draws: Record<string, number> };

/** The draw of each stable that has canaries, and what it says of them all. `excluded`: why somebody cannot anyway. */
export function turnsOf({ agents, sticky_key }: DecisionInputs, excluded: (Excluded | null)[]): Turns {
  const turns = new Map<Standing, Turn>();
  const draws: Record<string, number> = {};
  const canaries = canariesByStable(agents);
  if (canaries.size === 0) return { turns, draws };
  const able = new Set(agents.filter((_, n) => excluded[n] === null));
  for (const stable of agents) {
    const own = canaries.get(stable.id)?.get(stable.version);
    if (!own) continue;
    const draw = canaryDraw(stable.id, sticky_key);
    draws[stable.id] = draw;
    for (const slice of slicesOf(own)) turn(turns, { stable, slice, draw, able });
  }
  return { turns, draws };
}

/** An agent in a version, as one word. */
export function refKey({ agent_id, agent_version }: AgentRef): string {
  return `${agent_id} ${agent_version}`;
}

/** By id and version of their stable. */
function canariesByStable(agents: Standing[]): Map<string, Map<string, Standing[]>> {
  const canaries = new Map<string, Map<string, Standing[]>>();
  for (const agent of agents) {
    if (agent.canary_of === null) continue;
    const { agent_id, agent_version } = agent.canary_of;
    const versions = canaries.get(agent_id) ?? new Map<string, Standing[]>();
    versions.set(agent_version, [...(versions.get(agent_version) ?? []), agent]);
    canaries.set(agent_id, versions);
  }
  return canaries;
}

type Drawn = { stable: Standing; slice: Slice; draw: number; able: Set<Standing> };

function turn(turns: Map<Standing, Turn>, { stable, slice: { canary, from, to }, draw, able }: Drawn): void {
  const range = from === 0 ? `below ${to} %` : `from ${from} to ${to} %`;
  const said = `the draw ${draw.toFixed(1)} of ${stable.id} is`;
  if (draw < from || draw >= to) {
    turns.set(canary, { excluded: { exclusion: "rest", words: `a canary at rest: ${said} not ${range}` } });
    return;
  }
  if (!able.has(canary)) return;
  const words = `drawn as the canary of ${stable.id} ${stable.version}: ${said} ${range}`;
  if (!able.has(stable)) {
    turns.set(canary, { words });
    return;
  }
  turns.set(canary, { words, standsFor: { agent_id: stable.id, agent_version: stable.version } });
  const taken = `its canary ${canary.id} ${canary.version} takes this key: ${said} ${range}`;
  turns.set(stable, { excluded: { exclusion: "canary", words: taken } });
}
