/** The slots of a worker: how many runs it takes at one time, whichever hub gives them. */
export type Slots = {
  free(): number;
  take(): boolean; // whether one was free
  give(): void;
  lose(): void; // one less from now on
};

/** So many slots, all free. `changed` hears of each that becomes free. */
export function openSlots(count: number, changed: () => void): Slots {
  let free = count;
  return {
    free: () => Math.max(0, free),
    take() {
      if (free <= 0) return false;
      free--;
      return true;
    },
    give() {
      free++;
      if (free > 0) changed();
    },
    lose() {
      free--; // below nothing: the next that is given back is not there any more
      changed();
    },
  };
}
