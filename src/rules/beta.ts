import type { Memory } from "../contracts/choice.ts";

/** Ends that were well and badly, with fractions: what is old weighs less. */
export type Tally = { good: number; bad: number };

/** What is believed of a success rate: mean and standard deviation, both 0..1, and how many ends it stands on. */
export type Belief = { mean: number; sd: number; calls: number };

/** The posterior of a success rate: Beta(strength · mean + good, strength · (1 − mean) + bad). */
export function believe({ good, bad }: Tally, prior: { mean: number; strength: number }): Belief {
  const calls = good + bad;
  const total = calls + prior.strength;
  const mean = (good + prior.strength * prior.mean) / total;
  return { mean, sd: Math.sqrt((mean * (1 - mean)) / (total + 1)), calls };
}

/** What remains after so many seconds and calls of the intent: half of it for every half-life of either. 0..1. */
export function fade({ seconds, calls }: { seconds: number; calls: number }, memory: Memory): number {
  return 0.5 ** (Math.max(0, seconds) / memory.half_life_s + Math.max(0, calls) / memory.half_life_calls);
}
