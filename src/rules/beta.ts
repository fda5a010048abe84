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

/** What a tally still weighs `seconds` later: half of it for every half-life. */
export function faded({ good, bad }: Tally, seconds: number, halfLifeS: number): Tally {
  const left = seconds <= 0 ? 1 : 0.5 ** (seconds / halfLifeS);
  return { good: good * left, bad: bad * left };
}
