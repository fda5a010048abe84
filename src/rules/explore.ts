/** Somebody who may be chosen, by its score. The first is the best. */
export type Seat = { seat: number };

/**
 * The probability with which each seat is chosen, best first: the best with 1 − share, the others share the rest, the
 * more the closer they are. They sum to 1, and each is above 0 while share is. One seat alone is always chosen.
 *
 * Inverse gap weighting (Abe & Long 1999; Foster & Rakhlin 2020, SquareCB) under a fixed share, so that the probability
 * of every choice is known to the last digit.
 */
export function propensitiesOf(seats: Seat[], share: number): number[] {
  const [best, ...others] = seats;
  if (!best) return [];
  if (others.length === 0 || share === 0) return seats.map((_, n) => (n === 0 ? 1 : 0));
  const pulls = others.map(({ seat }) => 1 / (floor + best.seat - seat));
  const whole = pulls.reduce((sum, pull) => sum + pull, 0);
  return [1 - share, ...pulls.map((pull) => (share * pull) / whole)];
}

const floor = 0.05;

/** The seat a draw in [0, 1) falls on. */
export function pick(propensities: number[], draw: number): number {
  let sum = 0;
  for (const [n, propensity] of propensities.entries()) {
    sum += propensity;
    if (draw < sum) return n;
  }
  return 0; // the draw fell into what rounding left over
}
