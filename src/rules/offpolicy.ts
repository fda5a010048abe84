/** A decision of the log as another policy meets it. */
export type Logged = {
  arm: string; // whom it chose: 'steady 1'
  context: string; // what its work was like, e.g. the intent: success rates are compared within one
  propensity: number; // of that choice, as it was stored
  good: boolean; // how it ended
  target: { arm: string; probability: number }[]; // what the other policy would have done with the same inputs
};

/** An estimated success rate, 0..1, with a 95 % confidence interval. */
export type Estimate = {
  value: number;
  low: number;
  high: number;
  effective_calls: number; // how many decisions of the log speak for the other policy
};

/**
 * The success rate of another policy from a log of decisions: inverse propensity, self-normalised. Null when nothing in
 * the log speaks for it. The interval is that of a ratio of means (Owen 2013, Monte Carlo theory, 9.2).
 */
export function inversePropensity(log: Logged[]): Estimate | null {
  const weights = log.map(weightOf);
  const whole = sumOf(weights);
  if (whole === 0) return null;
  const value = sumOf(log.map(({ good }, n) => (good ? (weights[n] ?? 0) : 0))) / whole;
  // One success and one failure more than were seen: a rate of nothing but successes is not certain.
  const guess = (value * whole + 1) / (whole + 2);
  const spread = sumOf(log.map(({ good }, n) => ((weights[n] ?? 0) * ((good ? 1 : 0) - guess)) ** 2));
  return around(value, Math.sqrt(spread) / whole, weights);
}

/**
 * The same, doubly robust (Dudík, Langford & Li 2011): the success rate of each arm in each context, as the log shows it,
 * is the first guess of what the other policy would reach, and inverse propensity corrects its errors. The guess for a
 * decision leaves out how that one ended. Null when nothing in the log speaks for the policy.
 */
export function doublyRobust(log: Logged[]): Estimate | null {
  const weights = log.map(weightOf);
  if (log.length === 0 || sumOf(weights) === 0) return null;
  const rates = ratesOf(log);
  const values = log.map((one, n) => {
    const { arm, context, good, target } = one;
    const guessed = sumOf(target.map((each) => each.probability * rates.of(each.arm, context, one)));
    return guessed + (weights[n] ?? 0) * ((good ? 1 : 0) - rates.of(arm, context, one));
  });
  const value = sumOf(values) / values.length;
  const variance = sumOf(values.map((each) => (each - value) ** 2)) / Math.max(1, values.length - 1);
  const least = 1.96 / (worthOf(weights) + 1.96 ** 2); // ends that are all alike are as sure as Wilson's interval says
  return around(value, Math.max(Math.sqrt(variance / values.length), least), weights);
}

/** How often each arm did well in each context; the fewer calls, the closer to how often it did anywhere. */
function ratesOf(log: Logged[]) {
  const counts = new Map<string, { good: number; calls: number }>();
  for (const { arm, context, good } of log) {
    for (const key of [`${arm}\n${context}`, arm, ""]) {
      const known = counts.get(key) ?? { good: 0, calls: 0 };
      counts.set(key, { good: known.good + (good ? 1 : 0), calls: known.calls + 1 });
    }
  }
  const rate = (key: string, before: number, without: { good: boolean } | null): number => {
    const { good, calls } = counts.get(key) ?? { good: 0, calls: 0 };
    const left = without ? { good: good - (without.good ? 1 : 0), calls: calls - 1 } : { good, calls };
    return (left.good + prior * before) / (left.calls + prior);
  };
  return {
    of(arm: string, context: string, asking: Logged): number {
      const own = asking.arm === arm ? asking : null;
      const anywhere = rate(arm, rate("", 0.5, asking), own);
      return rate(`${arm}\n${context}`, anywhere, own?.context === context ? own : null);
    },
  };
}

const prior = 2; // calls that the coarser rate counts for

/** An estimate with its interval, which never leaves what a rate can be. */
function around(value: number, error: number, weights: number[]): Estimate {
  const inside = Math.min(1, Math.max(0, value));
  const half = 1.96 * error;
  return {
    value: inside,
    low: Math.max(0, value - half),
    high: Math.min(1, value + half),
    effective_calls: worthOf(weights),
  };
}

/** As how many equal calls these weights count (Kish 1965). */
function worthOf(weights: number[]): number {
  return sumOf(weights) ** 2 / sumOf(weights.map((weight) => weight ** 2));
}

function weightOf({ arm, propensity, target }: Logged): number {
  return (target.find((one) => one.arm === arm)?.probability ?? 0) / propensity;
}

function sumOf(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
