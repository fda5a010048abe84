import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";

export type Listening = { channel: string; heard: (text: string) => void; onListen: () => void };

/**
 * Hears a channel on a connection of its own. A connection that breaks is opened again, 0.1 to 2 s later, for as long as
 * it takes; `onListen` is called each time, because anything may have been missed. Answers the function that stops it.
 * Throws when the first connection cannot be had.
 */
export async function openListener(url: string, listening: Listening): Promise<() => Promise<void>> {
  let stopped = false;
  let current = await hear(url, listening, again);

  async function again(): Promise<void> {
    for (let waitMs = 100; !stopped; waitMs = Math.min(2000, waitMs * 2)) {
      await pause(waitMs, undefined, { ref: false });
      if (stopped) return;
      const next = await hear(url, listening, again).catch(() => null);
      if (!next) continue;
      current = next;
      if (stopped) await next.end();
      return;
    }
  }

  return async () => {
    stopped = true;
    await current.end().catch(() => {}); // it may be gone already
  };
}

async function hear(url: string, { channel, heard, onListen }: Listening, onEnd: () => void): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000, keepAlive: true });
  client.on("error", () => {}); // its end is what counts
  client.on("notification", ({ payload }) => heard(payload ?? ""));
  try {
    await client.connect();
    await client.query(`listen ${client.escapeIdentifier(channel)}`);
  } catch (error) {
    await client.end().catch(() => {});
    throw error;
  }
  client.once("end", onEnd);
  onListen();
  return client;
}
