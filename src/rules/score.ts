import type { AgentRef } from "../contracts/agent.ts";
import type { Candidate, DecisionInputs } from "../contracts/decision.ts";
import { beliefsOf } from "./belief.ts";
import { exclusionOf } from "./exclude.ts";
import { reasonsOf, scaleOf, type Terms, termsOf } from "./terms.ts";
import { refKey, turnsOf } from "./turns.ts";

/** An agent as it was judged, its propensity still 0. `seat` is the score by which it is chosen. */
export type Judged = { candidate: Candidate; seat: number };

/** Everybody, best first, the excluded ones last, and the canary draw of each stable that has canaries. */
export type Scores = { judged: Judged[]; draws: Record<string, number> };

/**
 * Judges every agent. Pure: the same inputs always give the same order.
 *
 * A score is the sum of its terms (0..1). A canary does not compete by score: when the key is drawn for it, it takes the
 * place of its stable, with the stable's score, and the stable stands back; else it rests. So both meet the same work,
 * and load and canary share never stand on one number. A drawn canary whose stable is not able competes by itself.
 */
export function score(inputs: DecisionInputs): Scores {
  const { agents } = inputs;
  const beliefs = beliefsOf(agents, inputs);
  const scale = scaleOf(inputs);
  const excluded = agents.map((agent) => exclusionOf(agent, inputs));
  const { turns, draws } = turnsOf(inputs, excluded);

  const judged = agents.map((agent, n): Judged => {
    const turn = turns.get(agent);
    const out = excluded[n] ?? turn?.excluded ?? null;
    const belief = beliefs[n] ?? unknown;
    const terms = termsOf(agent, belief, scale);
    const reasons = reasonsOf(agent, belief, { terms, scale });
    if (out) reasons.unshift(`excluded: ${out.words}`);
    else if (turn?.words !== undefined) reasons.unshift(turn.words);
    const candidate = {
      agent_id: agent.id,
      agent_version: agent.version,
      canary: agent.canary_of !== null,
      stands_for: turn?.standsFor ?? null,
      excluded: out?.words ?? null,
      exclusion: out?.exclusion ?? null,
      score: Math.min(1, sumOf(terms)),
      terms,
      reasons,
      propensity: 0,
    };
    return { candidate, seat: candidate.score };
  });
  seatCanaries(judged);
  return { judged: judged.sort(byRank), draws };
}

function sumOf({ success, curiosity, latency, load, price, circuit, fit, affinity }: Terms): number {
  return success + curiosity + latency + load + price + circuit + fit + affinity;
}

const unknown = { mean: 0.5, sd: 0.5, calls: 0 };

/** A canary that stands for its stable is chosen by the stable's score. */
function seatCanaries(judged: Judged[]): void {
  const back = judged.filter(({ candidate }) => candidate.exclusion === "canary");
  if (back.length === 0) return;
  const seats = new Map(back.map(({ candidate, seat }) => [refKey(candidate), seat]));
  const seatOf = (ref: AgentRef | null) => (ref === null ? undefined : seats.get(refKey(ref)));
  for (const one of judged) one.seat = seatOf(one.candidate.stands_for) ?? one.seat;
}

function byRank(a: Judged, b: Judged): number {
  const out = a.candidate.excluded !== null;
  if (out !== (b.candidate.excluded !== null)) return out ? 1 : -1;
  return (
    b.seat - a.seat ||
    compare(a.candidate.agent_id, b.candidate.agent_id) ||
    compare(a.candidate.agent_version, b.candidate.agent_version)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
