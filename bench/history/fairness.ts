import { setTimeout as pause } from "node:timers/promises";
import { connect, type Database } from "../../src/store/database.ts";
import { role } from "../bus/echo.ts";
import { type Lane, prepareOurs, putSingle } from "../bus/ours.ts";
import { judgeGoal } from "../goals.ts";
import { percentile, rounded } from "../numbers.ts";
import { type Hand, hireHand } from "./hand.ts";
import { queue } from "./load.ts";
import { type Part, type Site, scaled } from "./part.ts";

/** A worker that does 2,000 a second at most: 20 at one time, 10 ms each. A flood of 100,000 keeps it busy for 50 s. */
const concurrency = 20;
const pauseMs = 10;
const perS = (concurrency * 1000) / pauseMs;
const samples = 320;

/** Both on one lane, so that no lane keeps them apart. */
const loud: Lane = { to: role, shard: 0, tenant: "hill" };
const quiet: Lane = { ...loud, tenant: "acme" };

/** Messages of the quiet tenant are numbered from here. */
const quietFrom = 1_000_000_000;

/**
 * One tenant floods, another asks now and then; both on one lane, before one worker. How long the other waits from
 * publishing until its handler begins, alone and beside the flood.
 */
export async function measureFairness({ ground, scale, progress, signal }: Site): Promise<Part> {
  const flood = scaled(100_000, scale, 10_000);
  const gapMs = ((flood / perS) * 1000 * 0.7) / samples; // the flood lasts longer than the samples
  const url = await ground.database("bench_fairness");
  await prepareOurs(url);
  const sql = connect(url, { max: 8 });
  const errand = { url, concurrency, lease_ms: 60_000, pause_ms: pauseMs, tell_from: quietFrom };
  const hand = await hireHand({ ...errand, name: "bench-fairness" });
  try {
    progress(`fairness: ${samples} waits alone`);
    const alone = await waits(sql, hand, { first: quietFrom, gapMs, signal });
    await queue(sql, flood, { progress, signal }, { lanes: [loud] });
    progress(`fairness: ${samples} waits beside a flood of ${flood}`);
    const beside = await waits(sql, hand, { first: quietFrom + samples, gapMs, signal });
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

type Asking = { first: number; gapMs: number; signal: AbortSignal };

/** The waits of messages published one every `gapMs`, whether or not the one before has begun. */
async function waits(sql: Database, hand: Hand, { first, gapMs, signal }: Asking): Promise<number[]> {
  const all: Promise<number>[] = [];
  const start = performance.now();
  for (let sample = 0; sample < samples; sample += 1) {
    await pause(Math.max(0, start + sample * gapMs - performance.now()), undefined, { signal });
    const n = first + sample;
    const began = process.hrtime.bigint();
    const published = putSingle(sql, { n, text: "asks" }, quiet);
    all.push(Promise.all([hand.began(n, 120_000), published]).then(([at]) => Number(at - began) / 1e6));
  }
  return Promise.all(all);
}
