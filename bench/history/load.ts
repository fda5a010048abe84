import type { Database } from "../../src/store/database.ts";
import { type Lane, putBatch } from "../bus/ours.ts";
import type { Body } from "../bus/system.ts";

const batch = 1000;

export type Watching = { progress: (text: string) => void; signal: AbortSignal };

/** Publishes messages numbered from `first`, in batches over a few connections, until `count` are there. */
export async function queue(
  sql: Database,
  count: number,
  { progress, signal }: Watching,
  { lanes, first = 1 }: { lanes?: Lane[]; first?: number } = {},
): Promise<void> {
  let taken = 0;
  let there = 0;
  const caller = async () => {
    while (taken < count) {
      signal.throwIfAborted();
      const from = taken;
      taken += Math.min(batch, count - from);
      const bodies = Array.from({ length: taken - from }, (_, n): Body => ({ n: first + from + n, text: "history" }));
      await putBatch(sql, bodies, lanes?.[(from / batch) % lanes.length]);
      const before = there;
      there += bodies.length;
      if (Math.floor((there * 4) / count) > Math.floor((before * 4) / count))
        progress(`${there} of ${count} are queued`);
    }
  };
  await Promise.all([caller(), caller()]);
}
