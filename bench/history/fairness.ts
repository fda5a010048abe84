import { setTimeout as pause } from "node:timers/promises";
import { Failure } from "../../src/contracts/failure.ts";
import { connect, type Database } from "../../src/store/database.ts";
import { role } from "../bus/echo.ts";
import { prepareOurs, putSingle } from "../bus/ours.ts";
import { judgeGoal } from "../goals.ts";
import { percentile, rounded } from "../numbers.ts";
import { type Hand, hireHand } from "./hand.ts";
import { queue } from "./load.ts";
import { type Part, type Site, scaled } from "./part.ts";
import { laneOf } from "./tables.ts";

/** A worker that does 2,000 a second at most: 20 at one time, 10 ms each. A flood of 100,000 keeps it busy for 50 s. */
const concurrency = 20;
const pauseMs = 10;
const perS = (concurrency * 1000) / pauseMs;
const samples = 320;

/** Messages of the quiet tenant are numbered from here. */
const quietFrom = 1_000_000_000;

/**
 * One tenant floods, another asks now and then; both on one lane, before one worker. How long the other waits from
 * publishing until its handler begins, alone and beside the flood.
 */
export async function measureFairness({ ground, scale, progress, signal }: Site): Promise<Part> {
  const flood = scaled(100_000, scale, 10_000);
  const gapMs = ((flood / perS) * 1000 * 0.7) / samples; // the flood lasts longer than the samples
  const candidates = Array.from({ length: 40 }, (_, n) => `quiet-${n}`);
  const url = await ground.database("bench_fairness");
  await prepareOurs(url, ["flood", ...candidates]);
  const sql = connect(url, { max: 8 });
  const errand = { url, concurrency, lease_ms: 60_000, pause_ms: pauseMs, tell_from: quietFrom };
  const hand = await hireHand({ ...errand, name: "bench-fairness" });
  try {
    const { tenant, shard } = await quietTenant(sql, candidates);
    progress(`fairness: ${samples} waits alone`);
    const alone = await waits(sql, hand, { tenant, first: quietFrom, gapMs, signal });
    await queue(sql, flood, { progress, signal }, { lanes: [{ to: role, shard, tenant: "flood" }], first: 1_000_000 });
    progress(`fairness: ${samples} waits beside a flood of ${flood}`);
    const beside = await waits(sql, hand, { tenant, first: quietFrom + samples, gapMs, signal });
    const added = (percentile(beside, 99) ?? 0) - (percentile(alone, 99) ?? 0);
    return {
      report: {
        flood,
        worker: `${concurrency} at one time, ${pauseMs} ms each`,
        samples,
        sample_gap_ms: rounded(gapMs),
        alone_p50_ms: rounded(percentile(alone, 50)),
        alone_p99_ms: rounded(percentile(alone, 99)),
        beside_p50_ms: rounded(percentile(beside, 50)),
        beside_p99_ms: rounded(percentile(beside, 99)),
      },
      goals: [judgeGoal({ name: "wait beside a flood, p99, more than alone", unit: "ms", most: 100 }, added)],
    };
  } finally {
    await hand.kill();
    await sql.end();
    await ground.drop("bench_fairness");
  }
}

/** A tenant in the lane of the flood, so that no lane keeps them apart. Publishes one message for each it tries. */
async function quietTenant(sql: Database, candidates: string[]): Promise<{ tenant: string; shard: number }> {
  await putSingle(sql, { n: 1, text: "warm" }, "flood");
  const shard = await laneOf(sql, "flood");
  for (const [n, tenant] of candidates.entries()) {
    await putSingle(sql, { n: n + 2, text: "warm" }, tenant);
    if ((await laneOf(sql, tenant)) === shard) return { tenant, shard };
  }
  throw new Failure("internal", "no tenant shares a lane with the flood");
}

type Asking = { tenant: string; first: number; gapMs: number; signal: AbortSignal };

/** The waits of messages published one every `gapMs`, whether or not the one before has begun. */
async function waits(sql: Database, hand: Hand, { tenant, first, gapMs, signal }: Asking): Promise<number[]> {
  const all: Promise<number>[] = [];
  const start = performance.now();
  for (let sample = 0; sample < samples; sample += 1) {
    await pause(Math.max(0, start + sample * gapMs - performance.now()), undefined, { signal });
    const n = first + sample;
    const began = process.hrtime.bigint();
    const published = putSingle(sql, { n, text: "asks" }, tenant);
    all.push(Promise.all([hand.began(n, 120_000), published]).then(([at]) => Number(at - began) / 1e6));
  }
  return Promise.all(all);
}
