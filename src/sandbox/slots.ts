/** The slots of a worker: numbers, each good for one run at a time, whichever hub gives it. */
export type Slots = {
  free(): number;
  take(): number | undefined; // the lowest that is free
  give(slot: number): void;
};

/** So many slots, all free. `changed` hears of each that becomes free. */
export function openSlots(count: number, changed: () => void): Slots {
  const free = Array.from({ length: count }, (_, slot) => slot);
  return {
    free: () => free.length,
    take: () => free.shift(),
    give(slot) {
      free.push(slot);
      free.sort((a, b) => a - b);
      changed();
    },
  };
}
