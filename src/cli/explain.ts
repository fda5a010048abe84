import type { Candidate } from "../contracts/decision.ts";
import type { DecisionView } from "../contracts/orchestrator.ts";
import { duration, paint } from "./output.ts";

/**
 * A decision in words: who won and why, how that ended, then everybody who was considered: the score to its last term,
 * what each lacked against the winner, and why the excluded could not be chosen.
 */
export function explained(view: DecisionView): string {
  const { decision } = view;
  const chosen = decision.candidates.find((one) => isChosen(one, view));
  // A canary was chosen by the score of the stable it stands for: that is what the others are behind.
  const winner =
    decision.candidates.find((one) => chosen?.stands_for && nameOf(one) === nameOf(chosen.stands_for)) ?? chosen;
  const able = decision.candidates.filter(({ excluded }) => excluded === null);
  const excluded = decision.candidates.filter(({ excluded }) => excluded !== null);
  return [
    `${paint("bold", `decision ${view.id}`)}  ${decision.role} for ${view.intent}, tenant ${view.tenant}, ${view.at}`,
    ...instead(view),
    `${paint("green", "chosen")}  ${decision.because}`,
    `${paint("bold", "ended")}   ${ending(view)}`,
    ...(able.length > 0 ? ["", paint("dim", ableHead)] : []),
    ...able.flatMap((one) => candidate(one, { winner, chosen: one === chosen, explored: decision.explored })),
    ...(excluded.length > 0 ? ["", paint("dim", "who could not, and why")] : []),
    ...excluded.map(({ agent_id, agent_version, excluded: why }) => `  ${nameOf({ agent_id, agent_version })}: ${why}`),
  ].join("\n");
}

const ableHead =
  "who could have been chosen, best first; a score is the sum of its terms, a term what was found times its weight";

/** Why nobody could be chosen. */
export function nobody(candidates: Candidate[]): string {
  const why = candidates.map((one) => `  ${nameOf(one)}: ${one.excluded ?? "it was able, but its stable was not"}`);
  return [`${paint("red", "nobody")} was able`, "", paint("dim", "who was considered, and why not"), ...why].join("\n");
}

/** Whom this one stands in for. */
function instead({ decision: { fallback } }: DecisionView): string[] {
  if (!fallback) return [];
  const { failed, failure, of } = fallback;
  return [
    `${paint("red", "instead")} of ${nameOf(failed)} (decision ${of}), which failed for good: ${failure.code}, ${failure.message.split("\n")[0]}`,
  ];
}

function isChosen({ agent_id, agent_version }: Candidate, { decision: { chosen } }: DecisionView): boolean {
  return agent_id === chosen.agent_id && agent_version === chosen.agent_version;
}

type Place = { winner: Candidate | undefined; chosen: boolean; explored: boolean };

function candidate(one: Candidate, { winner, chosen, explored }: Place): string[] {
  const mark = chosen ? paint("green", "→") : " ";
  const of = one.stands_for ? ` in the place of ${nameOf(one.stands_for)}` : "";
  const canary = one.canary ? paint("yellow", ` canary${of}`) : "";
  return [
    `${mark} ${one.score.toFixed(3)}  ${paint("bold", nameOf(one))}${canary}${chosen ? "" : behind(one, winner, explored)}`,
    ...one.reasons.map((reason) => `         ${reason}`),
    ...(one.propensity < 1 ? [paint("dim", `         its chance to be chosen was ${chanceOf(one)}`)] : []),
  ];
}

/** The best one has most of it, the others share what the policy sets aside to learn. */
function chanceOf({ propensity }: Candidate): string {
  return `${(100 * propensity).toFixed(1)} %`;
}

/** What spoke for the winner against this one, term by term, the largest difference first. */
function behind(one: Candidate, winner: Candidate | undefined, explored: boolean): string {
  if (!winner) return "";
  const names = [...new Set([...Object.keys(winner.terms), ...Object.keys(one.terms)])];
  const parts = names
    .map((name) => ({ name, by: (one.terms[name] ?? 0) - (winner.terms[name] ?? 0) }))
    .filter(({ by }) => Math.abs(by) >= 0.0005)
    .sort((a, b) => Math.abs(b.by) - Math.abs(a.by))
    .map(({ name, by }) => `${name} ${signed(by)}`);
  const gap = one.score - winner.score;
  if (parts.length === 0)
    return paint("dim", `  as good as ${nameOf(winner)}${explored ? "" : ", which comes first by name"}`);
  return paint("dim", `  ${signed(gap)} against ${nameOf(winner)}: ${parts.join(", ")}`);
}

function signed(by: number): string {
  return `${by < 0 ? "−" : "+"}${Math.abs(by).toFixed(3)}`;
}

function nameOf({ agent_id, agent_version }: { agent_id: string; agent_version: string }): string {
  return `${agent_id} ${agent_version}`;
}

const outcomes = {
  good: "well",
  bad: "badly, and the agent is to blame",
  void: "badly, and the agent is not to blame",
};

function ending({ end }: DecisionView): string {
  if (!end) return "not yet";
  const code = end.code ? ` (${end.code})` : "";
  const cost = end.cost_usd === null || end.cost_usd === 0 ? "" : `, ${end.cost_usd} USD`;
  return `${outcomes[end.outcome]}${code} after ${duration(end.latency_ms)}${cost}`;
}
