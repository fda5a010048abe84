import type { BothEnds, CanaryEvidence, CanaryState } from "../contracts/canary.ts";
import type { CanaryPlan } from "../contracts/choice.ts";
import { rateDifference } from "./rates.ts";

/** One end that counts, in the order in which they ended. */
export type TrialEnd = { side: "canary" | "stable"; good: boolean };

/**
 * The sizes of harm the test looks for, as distances of log-odds, and how much it bets on each (a logarithm): 82 %
 * against 64 % is 0.95, a canary that is broken; against 76 % is 0.35, one that is a little worse.
 */
const harms = [
  { distance: 0.95, bet: 0.95 },
  { distance: 0.35, bet: 0.05 },
].map(({ distance, bet }) => ({ bet: Math.log(bet), pairs: pairsOf(distance) }));

/** A stable with a rate, and a canary that is worse by some distance; `believed` is a logarithm, up to a constant. */
type Pair = { stable: Rate; canary: Rate; believed: number };
type Rate = { rate: number; good: number; bad: number }; // with the logarithms of a good and of a bad end

/** Rates of a stable that are thought of, believed at the beginning as logit 1.4 ± 1.2. */
function pairsOf(distance: number): Pair[] {
  return [0.05, 0.15, 0.3, 0.45, 0.6, 0.7, 0.8, 0.87, 0.93, 0.97, 0.99].map((rate) => ({
    stable: logsOf(rate),
    canary: logsOf(1 / (1 + Math.exp(distance - logit(rate)))),
    believed: -0.5 * ((logit(rate) - 1.4) / 1.2) ** 2,
  }));
}

function logsOf(rate: number): Rate {
  return { rate, good: Math.log(rate), bad: Math.log(1 - rate) };
}

/**
 * The state after one more end. Two questions are asked of the same ends:
 *
 * Is it worse? An e-process for two Bernoulli streams (Turner, Ly & Grünwald, "Generic E-variables for exact sequential
 * k-sample tests that allow for optional stopping", arXiv 2106.02693). Ends are put into blocks; when a block closes, its evidence is the likelihood under a predicted pair (p canary < p stable) over that
 * under their common mean (weighted by the block's calls). Whatever the true rates, if the canary is not worse the
 * expectation of that is at most 1, because what is predicted depends on closed blocks only. So is that of the product,
 * and by Ville's inequality it ever passes 1 / false_alarm with a probability of at most `false_alarm`, however often
 * one looks. When a block closes depends on how many ended, never on how well.
 *
 * Is it not worse? Asked when the canary has its planned calls, and at each doubling: the lower end of Newcombe's hybrid
 * score interval of the difference (1998, method 10) is above −margin. The k-th look has half the error of the one
 * before, so that a canary worse by the margin is called not worse in at most 5 % of tests.
 *
 * Both take the calls of each side for independent, with one rate; a change of the work hits both sides alike.
 */
export function observe(state: CanaryState, end: TrialEnd, plan: CanaryPlan): CanaryState {
  const open = plus(state.open, end);
  const next = closes(state.seen, open) ? closed(state, open) : { ...state, open };
  return looked(next, plan);
}

/** How a test stands. */
export function verdictOf(state: CanaryState, plan: CanaryPlan): CanaryEvidence {
  const all = total(state.seen, state.open);
  const [canary, stable] = [sideOf(all.canary), sideOf(all.stable)];
  const evidence = Math.exp(state.most);
  const needed = 1 / plan.false_alarm;
  const planned_calls = plan.planned_calls * 2 ** state.looks;
  const verdict = evidence >= needed ? "worse" : state.not_worse ? "not_worse" : "open";
  const numbers = { canary, stable, evidence, needed, planned_calls, difference: state.difference };
  return { verdict, because: sentence(verdict, numbers, plan), ...numbers };
}

function sentence(
  verdict: CanaryEvidence["verdict"],
  { canary, stable, evidence, needed, planned_calls, difference }: Omit<CanaryEvidence, "verdict" | "because">,
  { margin, false_alarm }: CanaryPlan,
): string {
  const against = `${percent(canary.success)} of ${canary.calls} calls ended well, against ${percent(stable.success)} of ${stable.calls} of its stable`;
  if (verdict === "worse") {
    return `${against}: evidence ${round(evidence)} : 1 that it is worse, and ${round(needed)} : 1 are enough (a canary as good as its stable gets there in at most ${percent(false_alarm)} of tests)`;
  }
  if (verdict === "not_worse") {
    return `${against}: worse by less than ${percent(margin)}, if at all (difference at least ${points(difference?.low)})`;
  }
  return `${against}: evidence ${round(evidence)} : 1 that it is worse, ${round(needed)} : 1 are needed; whether it is not is asked at ${planned_calls} calls`;
}

/** A block closes when both sides are in it, the stable with half of its proportion at least, so that it says much. */
function closes(seen: BothEnds, open: BothEnds): boolean {
  const [canary, stable] = [callsOf(open.canary), callsOf(open.stable)];
  if (canary === 0 || stable === 0) return false;
  const proportion = (callsOf(seen.stable) + stable) / (callsOf(seen.canary) + canary);
  return stable >= 0.5 * proportion * canary;
}

function closed(state: CanaryState, block: BothEnds): CanaryState {
  const logs = harms.map(
    ({ pairs }, n) => (state.log_evidence[n] ?? 0) + logEvidence(block, predicted(state.seen, pairs)),
  );
  const all = logSum(harms.map(({ bet }, n) => bet + (logs[n] ?? 0)));
  return {
    ...state,
    seen: total(state.seen, block),
    open: { canary: { good: 0, bad: 0 }, stable: { good: 0, bad: 0 } },
    log_evidence: logs,
    most: Math.max(state.most, all),
  };
}

/** The pair of rates that what was seen makes likely: the mean of the pairs. */
function predicted({ canary, stable }: BothEnds, pairs: Pair[]): { canary: number; stable: number } {
  const logs = pairs.map((pair) => pair.believed + logOf(canary, pair.canary) + logOf(stable, pair.stable));
  const most = Math.max(...logs);
  let [whole, ofCanary, ofStable] = [0, 0, 0];
  pairs.forEach((pair, n) => {
    const weight = Math.exp((logs[n] ?? 0) - most);
    whole += weight;
    ofCanary += weight * pair.canary.rate;
    ofStable += weight * pair.stable.rate;
  });
  return { canary: ofCanary / whole, stable: ofStable / whole };
}

function logEvidence({ canary, stable }: BothEnds, pair: { canary: number; stable: number }): number {
  const [m, n] = [callsOf(canary), callsOf(stable)];
  const common = logsOf((m * pair.canary + n * pair.stable) / (m + n));
  const [ofCanary, ofStable] = [logsOf(pair.canary), logsOf(pair.stable)];
  return logOf(canary, ofCanary) - logOf(canary, common) + logOf(stable, ofStable) - logOf(stable, common);
}

/** Asks whether the canary is not worse, when its calls have come to the next look. */
function looked(state: CanaryState, { planned_calls, margin }: CanaryPlan): CanaryState {
  const calls = callsOf(state.seen.canary) + callsOf(state.open.canary);
  if (state.not_worse || calls < planned_calls * 2 ** state.looks) return state;
  const all = total(state.seen, state.open);
  if (callsOf(all.stable) === 0) return state;
  const looks = state.looks + 1;
  const difference = rateDifference(all.canary, all.stable, 0.05 / 2 ** looks);
  return { ...state, looks, difference, not_worse: difference.low > -margin };
}

function plus(ends: BothEnds, { side, good }: TrialEnd): BothEnds {
  const one = ends[side];
  return { ...ends, [side]: good ? { ...one, good: one.good + 1 } : { ...one, bad: one.bad + 1 } };
}

function total(a: BothEnds, b: BothEnds): BothEnds {
  const sum = (side: "canary" | "stable") => ({ good: a[side].good + b[side].good, bad: a[side].bad + b[side].bad });
  return { canary: sum("canary"), stable: sum("stable") };
}

type Ends = { good: number; bad: number };

function callsOf({ good, bad }: Ends): number {
  return good + bad;
}

function sideOf(ends: Ends): CanaryEvidence["canary"] {
  const calls = callsOf(ends);
  return { calls, success: calls === 0 ? null : ends.good / calls };
}

function logOf(ends: Ends, { good, bad }: Rate): number {
  return ends.good * good + ends.bad * bad;
}

function logSum(logs: number[]): number {
  const most = Math.max(...logs);
  return most + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - most), 0));
}

function logit(rate: number): number {
  return Math.log(rate / (1 - rate));
}

function percent(share: number | null): string {
  return share === null ? "–" : `${Math.round(1000 * share) / 10} %`;
}

function points(share: number | undefined): string {
  return share === undefined ? "–" : `${Math.round(1000 * share) / 10} points`;
}

function round(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toFixed(1);
}
