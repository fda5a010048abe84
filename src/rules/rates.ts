type Ends = { good: number; bad: number };

/**
 * Wilson's score interval of a success rate (1927): `z` standard deviations to each side. Ends may be fractions, and are
 * more than none.
 */
export function rateInterval({ good, bad }: Ends, z: number): { low: number; high: number } {
  const calls = good + bad;
  const rate = good / calls;
  const middle = (rate + z ** 2 / (2 * calls)) / (1 + z ** 2 / calls);
  const half = (z * Math.sqrt((rate * (1 - rate)) / calls + z ** 2 / (4 * calls ** 2))) / (1 + z ** 2 / calls);
  return { low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

/**
 * The difference of two success rates, a − b: its true value is below `low`, and above `high`, with a probability of
 * about `error` each. Newcombe's hybrid score interval (1998, method 10).
 */
export function rateDifference(a: Ends, b: Ends, error: number): { low: number; high: number } {
  const z = quantile(1 - error);
  const [ofA, ofB] = [rateInterval(a, z), rateInterval(b, z)];
  const [rateA, rateB] = [a.good / (a.good + a.bad), b.good / (b.good + b.bad)];
  return {
    low: rateA - rateB - Math.hypot(rateA - ofA.low, ofB.high - rateB),
    high: rateA - rateB + Math.hypot(ofA.high - rateA, rateB - ofB.low),
  };
}

/** The quantile of the standard normal distribution, 0 < p < 1: Acklam's rational approximation, good to 1e-9 relative. */
export function quantile(p: number): number {
  if (p < 0.02425) return tail(Math.sqrt(-2 * Math.log(p)));
  if (p > 1 - 0.02425) return -tail(Math.sqrt(-2 * Math.log(1 - p)));
  const q = p - 0.5;
  const r = q * q;
  const above = [
    -39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716, 2.506628277459239,
  ];
  const below = [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1];
  return (polynomial(above, r) * q) / polynomial(below, r);
}

function tail(q: number): number {
  const above = [
    -0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
    2.938163982698783,
  ];
  const below = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1];
  return polynomial(above, q) / polynomial(below, q);
}

function polynomial(coefficients: number[], x: number): number {
  return coefficients.reduce((sum, coefficient) => sum * x + coefficient, 0);
}
