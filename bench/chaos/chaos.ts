import { chmod, mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { connect, type Database } from "../../src/store/database.ts";
import { type Broken, check, type PromiseName } from "./check.ts";
import { hire } from "./crew.ts";
import { type Ground, openGround } from "./ground.ts";
import { harm } from "./harm.ts";
import { startLoad } from "./load.ts";
import { planOf } from "./plan.ts";
import { plantNoFence } from "./plant.ts";
import { policy } from "./roles.ts";

export type Options = {
  seconds: number; // of harm; draining comes on top
  seed: number;
  workers: number;
  plant: "no-fence" | null; // a bug that the checker must find
  signal: AbortSignal; // ends the harm early; what was done is still drained and checked
  progress: (text: string) => void;
};

/** What was done, and what came of it. `folder` holds the workers' logs; it is there when a promise was broken. */
export type Report = {
  seconds: number;
  seed: number;
  workers: number;
  plant: string | null;
  published: number; // requests, each with a key of its own
  answers_lost: number;
  kills: number;
  leaves: number;
  stops: number;
  poison: number;
  database_restarts: number;
  connections_dropped: number;
  deaf_spells: number;
  processes_ended: number;
  messages: number;
  done: number;
  dead: number;
  retried: number;
  fenced: number; // attempts that came too late to settle, and were refused
  drain_ms: number;
  drained: boolean;
} & Record<PromiseName, number> & { broken: Broken[]; folder: string | null };

const leaseMs = 2000;
const graceMs = 300; // shorter than a slow message, so that some are given back
const perS = 25;
const drainMs = 60_000;

/** Harms a bus of its own for a while, lets it drain, and holds its database against what a bus promises. */
export async function chaos(options: Options): Promise<Report> {
  const folder = await mkdtemp(join(tmpdir(), "dagent-chaos-"));
  await chmod(folder, 0o711); // the account of the server passes through
  const logs = join(folder, "log");
  await mkdir(logs, { mode: 0o700 });
  const ground = await openGround(join(folder, "data"));
  let kept: string | null = folder;
  try {
    const report = await run(options, { ground, folder, logs });
    if (report.broken.length === 0) kept = null;
    return { ...report, folder: kept && logs };
  } finally {
    await ground.close();
    await rm(kept ? join(folder, "data") : folder, { recursive: true, force: true });
  }
}

async function run(options: Options, place: { ground: Ground; folder: string; logs: string }): Promise<Report> {
  const { seconds, seed, workers, plant, progress } = options;
  const { ground, logs } = place;
  if (plant) await ground.direct(plantNoFence);
  const crew = hire({
    workers,
    folder: logs,
    url: ground.wire.url,
    artifacts_base: join(place.folder, "artifacts"),
    lease_ms: leaseMs,
    grace_ms: graceMs,
  });
  const clients = connect(ground.wire.url, { max: 8 });
  const load = startLoad(clients, { seed, perS });
  try {
    progress(`${seconds} s of harm to ${workers} workers, seed ${seed}`);
    const done = await harm(planOf({ seed, seconds, workers, leaseMs }), { crew, ground, load }, options);
    const { asked, lostAnswers } = await load.stop();
    progress("the harm is over, draining");
    const drain = await ground.direct(drained);
    await crew.disband();
    progress(drain.drained ? `drained in ${drain.ms} ms, checking` : `not drained in ${drain.ms} ms, checking`);
    const { broken, ...found } = await ground.direct((sql) => check(sql, { asked, policy }));
    return {
      seconds,
      seed,
      workers,
      plant,
      published: asked.length,
      answers_lost: lostAnswers,
      kills: done.kill,
      leaves: done.leave,
      stops: done.stop,
      poison: done.poison,
      database_restarts: done.restart + done.crash,
      connections_dropped: done.dropped,
      deaf_spells: done.deaf,
      processes_ended: crew.deaths(),
      ...found,
      fenced: await countFenced(logs),
      drained: drain.drained,
      drain_ms: drain.ms,
      ...countOf(broken),
      broken,
      folder: null,
    };
  } finally {
    await crew.disband();
    await clients.end({ timeout: 1 });
  }
}

/** Waits until nothing waits, nothing is held and no trace is open, for a minute at most. */
async function drained(sql: Database): Promise<{ drained: boolean; ms: number }> {
  const began = performance.now();
  const ms = () => Math.round(performance.now() - began);
  for (;;) {
    const [left] = await sql`
      select 1 from bus_queue
      union all
      select 1 from bus_held
      union all
      select 1 from bus_traces where status = 'open'
      limit 1`;
    if (!left) return { drained: true, ms: ms() };
    if (ms() > drainMs) return { drained: false, ms: ms() };
    await pause(100);
  }
}

/** Attempts that the fence turned away, as the workers told in their logs. */
async function countFenced(logs: string): Promise<number> {
  const texts = await Promise.all((await readdir(logs)).map((file) => readFile(join(logs, file), "utf8")));
  return texts.join("").split("is no longer held by this attempt").length - 1;
}

function countOf(broken: Broken[]): Record<PromiseName, number> {
  const counts: Record<PromiseName, number> = {
    lost: 0,
    doubled: 0,
    illegal: 0,
    overlapping: 0,
    over_policy: 0,
    open: 0,
  };
  for (const { promise } of broken) counts[promise] += 1;
  return counts;
}
