import { lives } from "../agents/probe.ts";
import type { Log } from "../contracts/log.ts";
import { dueProbes, heard } from "../store/agents.ts";
import type { Database } from "../store/database.ts";
import { type Sweep, sweepEvery } from "./sweep.ts";

/** How often an agent with a `probe` is asked whether it lives. */
const everyMs = 3000;

export type Probing = {
  sql: Database;
  refusesAddress: (url: string) => string | null; // why an address may not be called; null: it may
  fetch: typeof globalThis.fetch; // checks the address that is connected to
  log: Log;
};

/** Asks agents whether they live, as a heartbeat on their behalf. */
export function keepProbing({ sql, refusesAddress, fetch, log }: Probing): Sweep {
  const stopping = new AbortController();
  const turn = async () => {
    const due = await dueProbes(sql, everyMs);
    const asked = due.map(async (agent) => {
      if (refusesAddress(agent.url) !== null) return;
      if (await lives(agent.url, { signal: stopping.signal, fetch })) await heard(sql, [agent]);
    });
    await Promise.all(asked);
    return false;
  };
  const sweep = sweepEvery(1000, turn, { name: "probes", log });
  return {
    async stop() {
      stopping.abort();
      await sweep.stop();
    },
  };
}
