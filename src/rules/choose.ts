import type { Candidate, Choice, DecisionInputs } from "../contracts/decision.ts";
import { pick, propensitiesOf } from "./explore.ts";
import { hashOf } from "./rule.ts";
import { score } from "./score.ts";

/** A change of the rules that could change a choice changes this word, so that a replay knows with whom it speaks. */
export const recipe = "1";

/** Chooses an agent, and says why. Pure: the same inputs, the same choice; all chance is in `draw` and `sticky_key`. */
export function choose(inputs: DecisionInputs): Choice {
  const { judged, draws } = score(inputs);
  const able = judged.filter(({ candidate }) => candidate.excluded === null);
  const propensities = propensitiesOf(able, inputs.rule.exploration.share);
  able.forEach(({ candidate }, n) => {
    candidate.propensity = propensities[n] ?? 0;
  });
  const at = pick(propensities, inputs.draw);
  const chosen = able[at]?.candidate ?? null;
  const candidates = judged.map(({ candidate }) => candidate);
  return {
    recipe,
    chosen: chosen && { agent_id: chosen.agent_id, agent_version: chosen.agent_version, canary: chosen.canary },
    because: sentence(chosen, { explored: at > 0, able: able.length, candidates }),
    explored: at > 0,
    propensity: chosen?.propensity ?? 0,
    canary_draws: draws,
    weights_hash: hashOf(inputs.rule),
    candidates,
  };
}

type Around = { explored: boolean; able: number; candidates: Candidate[] };

function sentence(chosen: Candidate | null, { explored, able, candidates }: Around): string {
  if (chosen === null) return `nobody of ${candidates.length} considered is able now`;
  const name = `${chosen.agent_id} ${chosen.agent_version}`;
  if (able === 1 && chosen.stands_for === null) return `${name}: the only able one of ${candidates.length} considered`;
  const why = explored
    ? `drawn to explore, with a chance of ${(100 * chosen.propensity).toFixed(1)} %, among ${able} able agents`
    : `best score of ${able} able agents`;
  if (chosen.stands_for === null)
    return explored ? `${name}: ${why}` : `${name}: best score ${chosen.score.toFixed(2)} of ${able} able agents`;
  return `${name}: drawn as the canary of ${chosen.stands_for.agent_id} ${chosen.stands_for.agent_version}, which was ${able === 1 ? "the only able one" : `chosen: ${why}`}`;
}
