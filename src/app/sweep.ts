import { setTimeout as pause } from "node:timers/promises";
import { asFailure } from "../contracts/failure.ts";
import type { Log } from "../contracts/log.ts";

/** Something done again and again until it is stopped; stopping waits for the turn under way. */
export type Sweep = { stop(): Promise<void> };

/**
 * Does `turn` every `everyMs` milliseconds, one at a time, and rests nine times as long as it took: a sweep never takes
 * more than a tenth of anything. A turn that answers true has more to do and is followed at once. One that fails is told
 * to the log and tried again.
 */
export function sweepEvery(
  everyMs: number,
  turn: () => Promise<boolean>,
  { name, log }: { name: string; log: Log },
): Sweep {
  const stopping = new AbortController();
  async function loop(): Promise<void> {
    while (!stopping.signal.aborted) {
      const began = performance.now();
      const more = await turn().catch((error) => {
        log.warn({ sweep: name, reason: asFailure(error).message }, "a sweep failed, trying again");
        return false;
      });
      const restMs = more ? 0 : Math.max(everyMs, 9 * (performance.now() - began));
      await pause(restMs, undefined, { signal: stopping.signal, ref: false }).catch(() => {});
    }
  }
  const ended = loop();
  return {
    async stop() {
      stopping.abort();
      await ended;
    },
  };
}
