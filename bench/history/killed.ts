import { setTimeout as pause } from "node:timers/promises";
import { connect } from "../../src/store/database.ts";
import { prepareOurs, putSingle } from "../bus/ours.ts";
import { judgeGoal } from "../goals.ts";
import { median, rounded } from "../numbers.ts";
import { hireHand } from "./hand.ts";
import type { Part, Site } from "./part.ts";

const leaseMs = 3000;
const messages = 50;
const turns = 5;

/**
 * One of two workers holds fifty messages and is killed with SIGKILL: how long until the last of them has begun
 * elsewhere. A message is tried again without delay here, because how long a policy waits is the operator's choice.
 */
export async function measureKilled({ ground, progress, signal }: Site): Promise<Part> {
  const url = await ground.database("bench_killed");
  await prepareOurs(url);
  const sql = connect(url, { max: 8 });
  const took: number[] = [];
  const errand = { url, concurrency: messages, lease_ms: leaseMs, tell_from: 0 };
  try {
    for (let turn = 0; turn < turns; turn += 1) {
      signal.throwIfAborted();
      const numbers = Array.from({ length: messages }, (_, n) => turn * messages + n + 1);
      const victim = await hireHand({ ...errand, name: `bench-victim-${turn}`, pause_ms: null });
      for (const n of numbers) await putSingle(sql, { n, text: "held" });
      await Promise.all(numbers.map((n) => victim.began(n, 30_000)));
      const other = await hireHand({ ...errand, name: `bench-other-${turn}`, pause_ms: 0 });
      await pause(Math.random() * 1000); // somewhere between two heartbeats
      const killed = process.hrtime.bigint();
      await victim.kill();
      const began = await Promise.all(numbers.map((n) => other.began(n, leaseMs + 60_000)));
      took.push(Math.max(...began.map((at) => Number(at - killed) / 1e6)));
      await other.kill();
      progress(`killed: turn ${turn + 1} of ${turns}, elsewhere after ${Math.round(took.at(-1) ?? 0)} ms`);
    }
    const worst = Math.max(...took);
    return {
      report: {
        lease_ms: leaseMs,
        messages,
        turns,
        elsewhere_after_ms: took.map((ms) => rounded(ms)),
        median_ms: rounded(median(took)),
        worst_ms: rounded(worst),
      },
      goals: [judgeGoal({ name: "a killed worker's messages run elsewhere", unit: "ms", most: leaseMs + 1000 }, worst)],
    };
  } finally {
    await sql.end();
    await ground.drop("bench_killed");
  }
}
