import { setTimeout as pause } from "node:timers/promises";
import { connect, type Database, part } from "../../src/store/database.ts";
import { startEcho } from "../bus/echo.ts";
import { ours, prepareOurs } from "../bus/ours.ts";
import { judgeGoal } from "../goals.ts";
import { ratio, rounded } from "../numbers.ts";
import { queue } from "./load.ts";
import { type Part, type Site, scaled } from "./part.ts";
import { looksForWork } from "./tables.ts";

/** One look for work: how many messages had begun before, and how long the statement took (it may also settle some). */
export type Look = { before: number; ms: number };

/**
 * Drains a million messages with one worker while a REPEATABLE READ transaction of another connection keeps a snapshot
 * from before the first claim, so that no row the claims leave behind can be cleaned away. Times every statement that looks for work.
 */
export async function measureClaims({ ground, scale, progress, signal }: Site): Promise<Part> {
  const messages = scaled(1_000_000, scale, 1000);
  const url = await ground.database("bench_claims");
  await prepareOurs(url);
  const sql = connect(url, { max: 8 });
  const holder = connect(url, { max: 1 });
  const client = await ours.client(url, 1);
  const looks: Look[] = [];
  try {
    await queue(sql, messages, { progress, signal });
    await sql.unsafe("vacuum (analyze)");
    const enough = new AbortController();
    const held = hold(holder, enough.signal);
    let begun = 0;
    const began = performance.now();
    const timed = timing(sql, { before: () => begun, heard: (look) => looks.push(look) });
    const worker = await startEcho({ sql: timed, name: "bench-claims", concurrency: 1000, leaseMs: 60_000 }, () => {
      begun += 1;
      if (begun % Math.ceil(messages / 10) === 0) progress(`claims: ${begun} of ${messages} under an old snapshot`);
    });
    while (begun < messages || (await client.left())) {
      signal.throwIfAborted();
      await pause(50);
    }
    const seconds = (performance.now() - began) / 1000;
    await worker.stop(1000);
    enough.abort();
    await held;
    const tenths = tenthsOf(looks, messages);
    const value = ratio(tenths.at(-1), tenths[0]);
    return {
      report: {
        messages,
        drained_per_s: rounded(messages / seconds),
        looks: looks.length,
        ms_per_1k_by_tenth: tenths.map((ms) => rounded(ms)),
        last_to_first: rounded(value),
      },
      goals: [judgeGoal({ name: "claims under an old snapshot: last tenth / first", unit: "×", most: 1.3 }, value)],
    };
  } finally {
    await client.close();
    await Promise.all([sql.end(), holder.end()]);
    await ground.drop("bench_claims");
  }
}

/** Keeps a snapshot until the signal fires. */
function hold(sql: Database, signal: AbortSignal): Promise<void> {
  return sql.begin(async (tx) => {
    await tx.unsafe("set transaction isolation level repeatable read");
    await tx`select 1 from bus_messages limit 1`;
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  });
}

type Timing = { before: () => number; heard: (look: Look) => void };

/** The same database; each statement that looks for work is timed. */
export function timing(sql: Database, { before, heard }: Timing): Database {
  return new Proxy(sql, {
    async apply(target, _, [text, ...values]: [TemplateStringsArray, ...unknown[]]) {
      if (!looksForWork(part(text, ...values).from(1).text)) return target(text, ...values);
      const look = { before: before(), began: performance.now() };
      const rows = await target(text, ...values);
      heard({ before: look.before, ms: performance.now() - look.began });
      return rows;
    },
  });
}

/** What finding work cost in each tenth of the messages, in milliseconds a thousand. */
export function tenthsOf(looks: Look[], messages: number): number[] {
  const sums = Array.from({ length: 10 }, () => 0);
  for (const { before, ms } of looks) {
    const tenth = Math.min(9, Math.floor((before * 10) / messages));
    sums[tenth] = (sums[tenth] ?? 0) + ms;
  }
  return sums.map((ms) => (ms * 10_000) / messages);
}
