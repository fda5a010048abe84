import type { CanaryEvidence, CanaryState } from "../contracts/canary.ts";
import type { CanaryPlan } from "../contracts/choice.ts";

/** One end that counts, in the order in which they ended. */
export type TrialEnd = { side: "canary" | "stable"; good: boolean };

/** The state after these ends. Pure: the same ends in the same order, the same state, however they are bundled. */
export function observe(state: CanaryState, ends: TrialEnd[]): CanaryState {
  const seen = structuredClone(state.seen);
  for (const { side, good } of ends) seen[side][good ? "good" : "bad"] += 1;
  return { ...state, seen };
}

/** How a test stands. */
export function verdictOf(state: CanaryState, plan: CanaryPlan): CanaryEvidence {
  const side = ({ good, bad }: { good: number; bad: number }) => {
    const calls = good + bad;
    return { calls, success: calls === 0 ? null : good / calls };
  };
  return {
    verdict: "open",
    because: "the test goes on",
    canary: side(state.seen.canary),
    stable: side(state.seen.stable),
    evidence: Math.exp(state.most),
    needed: 1 / plan.false_alarm,
    difference: null,
  };
}
