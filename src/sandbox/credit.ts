/** How many bytes of a run may be on their way at one time, in each direction. */
export const windowBytes = 1_048_576;

/** What one side may still send before the other says that it took something in. */
export type Credit = {
  spend(bytes: number): Promise<void>; // waits until there is room; at once and for nothing when closed
  give(bytes: number): void;
  close(): void; // nobody listens any more: whoever waits goes on
};

/** A window of `windowBytes`. One sender at a time waits, in order. */
export function openCredit(): Credit {
  let left = windowBytes;
  let closed = false;
  const waiting: { bytes: number; go: () => void }[] = [];

  function wake(): void {
    for (let first = waiting[0]; first && (closed || first.bytes <= left); first = waiting[0]) {
      waiting.shift();
      left -= first.bytes;
      first.go();
    }
  }
  return {
    spend: (bytes) =>
      new Promise((go) => {
        waiting.push({ bytes, go });
        wake();
      }),
    give(bytes) {
      left = Math.min(windowBytes, left + bytes);
      wake();
    },
    close() {
      closed = true;
      wake();
    },
  };
}

/** Collects what was taken in, and says so in few words: `tell` is called once a quarter of the window has come together. */
export function openReceipt(tell: (bytes: number) => void): (bytes: number) => void {
  let taken = 0;
  return (bytes) => {
    taken += bytes;
    if (taken < windowBytes / 4) return;
    tell(taken);
    taken = 0;
  };
}
