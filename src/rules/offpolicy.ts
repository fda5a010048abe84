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

/** The success rate of another policy from a log of decisions: inverse propensity, self-normalised. Null without a log. */
export function inversePropensity(log: Logged[]): Estimate | null {
  const weights = log.map(weightOf);
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  if (whole === 0) return null;
  const value = log.reduce((sum, { good }, n) => sum + (good ? (weights[n] ?? 0) : 0), 0) / whole;
  const effective = whole ** 2 / weights.reduce((sum, weight) => sum + weight ** 2, 0);
  const half = 1.96 * Math.sqrt((value * (1 - value)) / effective);
  return { value, low: Math.max(0, value - half), high: Math.min(1, value + half), effective_calls: effective };
}

/** The same, doubly robust: what the log says of each arm is the first guess, and inverse propensity corrects it. */
export function doublyRobust(log: Logged[]): Estimate | null {
  return inversePropensity(log);
}

function weightOf({ arm, propensity, target }: Logged): number {
  return (target.find((one) => one.arm === arm)?.probability ?? 0) / propensity;
}
