/** The next number of a seeded sequence, 0 ≤ n < 1. */
export type Dice = () => number;

/** The same text gives the same sequence, on every machine. Mulberry32 (T. Ettinger, 2017) over an FNV-1a hash. */
export function dice(seed: string): Dice {
  let state = 0x811c9dc5;
  for (const byte of Buffer.from(seed)) state = Math.imul(state ^ byte, 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A whole number of `from`..`to`, both included. */
export function between(roll: Dice, from: number, to: number): number {
  return from + Math.floor(roll() * (to - from + 1));
}
