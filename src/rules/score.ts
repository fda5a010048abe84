import type { Standing } from "../contracts/agent.ts";
import type { Candidate, DecisionInputs } from "../contracts/decision.ts";
import { beliefsOf } from "./belief.ts";
import { canaryDraw, slicesOf } from "./canary.ts";
import { type Excluded, exclusionOf, isRef } from "./exclude.ts";
import { type Peers, termsOf } from "./terms.ts";

/** An agent as it was judged. `seat` is the score it is chosen by; with `propensity` still 0. */
export type Judged = { candidate: Candidate; seat: number };

/**
 * Judges every agent, best first, the excluded ones last. Pure: the same inputs always give the same order.
 *
 * A score is the sum of its terms (0..1). A canary does not compete by score: when the key is drawn for it, it takes the
 * place of its stable, with the stable's score, and the stable stands back; else it rests. So both meet the same work,
 * and load and canary share never stand on one number. A drawn canary whose stable is not able competes by itself.
 */
export function score(inputs: DecisionInputs): { judged: Judged[]; draws: Record<string, number> } {
  const { agents } = inputs;
  const beliefs = beliefsOf(agents, inputs);
  const peers: Peers = { latency_ms: meanLatency(agents, inputs.intent) };
  const excluded = agents.map((agent) => exclusionOf(agent, inputs));
  const { turns, draws } = turnsOf(inputs, excluded);

  const judged = agents.map((agent, n) => {
    const belief = beliefs[n] ?? { mean: 0.5, sd: 0.5, calls: 0 };
    const terms = termsOf(agent, belief, { inputs, peers });
    const out = excluded[n] ?? turns[n]?.excluded ?? null;
    const total = terms.reduce((sum, { share }) => sum + share, 0);
    const candidate: Candidate = {
      agent_id: agent.id,
      agent_version: agent.version,
      canary: agent.canary_of !== null,
      stands_for: (out === null && turns[n]?.standsFor) || null,
      excluded: out?.words ?? null,
      exclusion: out?.exclusion ?? null,
      score: Math.min(1, total),
      terms: Object.fromEntries(terms.map(({ name, share }) => [name, share])),
      reasons: terms.map(({ reason }) => reason),
      propensity: 0,
    };
    if (out !== null) candidate.reasons.unshift(`excluded: ${out.words}`);
    else if (turns[n]?.words) candidate.reasons.unshift(turns[n].words);
    return { candidate, seat: candidate.score };
  });
  for (const one of judged) {
    const of = one.candidate.stands_for;
    const stable =
      of &&
      judged.find(
        ({ candidate }) => candidate.agent_id === of.agent_id && candidate.agent_version === of.agent_version,
      );
    if (stable) one.seat = stable.candidate.score;
  }
  return { judged: judged.sort(byRank), draws };
}

function byRank(a: Judged, b: Judged): number {
  return (
    Number(a.candidate.excluded !== null) - Number(b.candidate.excluded !== null) ||
    b.seat - a.seat ||
    compare(a.candidate.agent_id, b.candidate.agent_id) ||
    compare(a.candidate.agent_version, b.candidate.agent_version)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What the canary draw says of an agent. */
type Turn = { excluded?: Excluded; standsFor?: { agent_id: string; agent_version: string } | null; words?: string };

/** The draw of each stable that has canaries, and what it says of them all. */
function turnsOf(
  { agents, sticky_key }: DecisionInputs,
  excluded: (Excluded | null)[],
): { turns: Turn[]; draws: Record<string, number> } {
  const turns: Turn[] = agents.map(() => ({}));
  const draws: Record<string, number> = {};
  const canaries = agents.filter(({ canary_of }) => canary_of !== null);
  if (canaries.length === 0) return { turns, draws };
  const place = new Map(agents.map((agent, n) => [agent, n]));
  const stables = agents.filter((agent) => canaries.some(({ canary_of }) => canary_of && isRef(agent, canary_of)));
  for (const stable of stables) {
    const draw = canaryDraw(stable.id, sticky_key);
    draws[stable.id] = draw;
    const stableAble = excluded[place.get(stable) ?? -1] === null;
    for (const { canary, from, to } of slicesOf(
      canaries.filter(({ canary_of }) => canary_of && isRef(stable, canary_of)),
    )) {
      const n = place.get(canary) ?? -1;
      const range = from === 0 ? `below ${to} %` : `from ${from} to ${to} %`;
      const said = `the draw ${draw.toFixed(1)} of ${stable.id} is`;
      if (draw < from || draw >= to) {
        turns[n] = { excluded: { exclusion: "rest", words: `a canary at rest: ${said} not ${range}` } };
        continue;
      }
      if (excluded[n] !== null) continue;
      const standsFor = stableAble ? { agent_id: stable.id, agent_version: stable.version } : null;
      turns[n] = { standsFor, words: `drawn as the canary of ${stable.id} ${stable.version}: ${said} ${range}` };
      turns[place.get(stable) ?? -1] = {
        excluded: {
          exclusion: "canary",
          words: `its canary ${canary.id} ${canary.version} takes this key: ${said} ${range}`,
        },
      };
    }
  }
  return { turns, draws };
}

function meanLatency(agents: Standing[], intent: string): number | null {
  let [sum, count] = [0, 0];
  for (const { stats } of agents) {
    const known = stats.find((one) => one.intent === intent)?.latency_ms ?? null;
    if (known === null) continue;
    sum += known;
    count += 1;
  }
  return count === 0 ? null : sum / count;
}
