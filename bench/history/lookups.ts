import { setTimeout as pause } from "node:timers/promises";
import { Failure } from "../../src/contracts/failure.ts";
import { backlogs } from "../../src/store/backlog.ts";
import { connect, type Database } from "../../src/store/database.ts";
import { eventsOf } from "../../src/store/events.ts";
import { role, startEcho } from "../bus/echo.ts";
import { type Lane, prepareOurs } from "../bus/ours.ts";
import { judgeGoal } from "../goals.ts";
import { percentile, rounded } from "../numbers.ts";
import { queue } from "./load.ts";
import { type Part, type Site, scaled } from "./part.ts";
import { eventBlock, fillEvents, madeUpEvents, madeUpTraces } from "./tables.ts";

/** Where the million waits: six roles on four lanes each. */
const roles = [
  "codegen.generate",
  "buildtest.run",
  "rag.index",
  "rag.query",
  "executor.execute",
  "orchestrator.decide",
];
const lanes: Lane[] = roles.flatMap((to) => [0, 1, 2, 3].map((shard) => ({ to, shard, tenant: "acme" })));

const calls = 200;

/** Looks up the backlog, and all events of a trace, in a database with a million waiting messages and ten million events. */
export async function measureLookups({ ground, scale, progress, signal }: Site): Promise<Part> {
  const messages = scaled(1_000_000, scale, 24_000);
  const events = Math.ceil(scaled(10_000_000, scale, eventBlock) / eventBlock) * eventBlock;
  const url = await ground.database("bench_lookups");
  await prepareOurs(url, [role, ...roles]);
  const sql = connect(url, { max: 8 });
  // A worker with nothing to do of its own: somebody always does what a bus needs every second.
  const worker = await startEcho({ sql, name: "bench-upkeep", concurrency: 1, leaseMs: 60_000 }, () => {});
  try {
    await fillEvents(sql, events, (there) => {
      signal.throwIfAborted();
      if (there % (events / 4) === 0) progress(`${there} of ${events} events are written`);
    });
    await queue(sql, messages, { progress, signal }, { lanes });
    await sql.unsafe("vacuum (analyze)");
    await sql.unsafe("checkpoint");
    progress("looking up the backlog and traces");

    const backlog = await times(calls, async () => {
      await backlogs(sql);
    });
    const exact = await exactAfter(sql, { first: messages + 1, progress, signal });
    const traces = await madeUpTraces(sql, events, calls);
    const trace = await times(calls, async (n) => {
      const found = await eventsOf(sql, traces[n] ?? "");
      if (found.length !== madeUpEvents) throw new Failure("internal", `a trace has ${found.length} events`);
    });
    return {
      report: {
        messages_queued: messages,
        events: events + messages,
        calls,
        backlog_p50_ms: rounded(percentile(backlog, 50)),
        backlog_p99_ms: rounded(percentile(backlog, 99)),
        backlog_exact_after_ms: rounded(exact),
        trace_events_p50_ms: rounded(percentile(trace, 50)),
        trace_events_p99_ms: rounded(percentile(trace, 99)),
      },
      goals: [
        judgeGoal({ name: "backlog at a million queued, p99", unit: "ms", most: 2 }, percentile(backlog, 99)),
        judgeGoal({ name: "backlog is exact after", unit: "ms", most: 1000 }, exact),
        judgeGoal({ name: "events of a trace at ten million, p99", unit: "ms", most: 5 }, percentile(trace, 99)),
      ],
    };
  } finally {
    await worker.stop(1000);
    await sql.end();
    await ground.drop("bench_lookups");
  }
}

/** How long each of `count` calls took, in milliseconds, after a few that are not counted. */
async function times(count: number, call: (n: number) => Promise<void>): Promise<number[]> {
  for (let n = 0; n < 5; n += 1) await call(n);
  const all: number[] = [];
  for (let n = 0; n < count; n += 1) {
    const began = performance.now();
    await call(n);
    all.push(performance.now() - began);
  }
  return all;
}

/** How long after new messages were published the backlog counts all of them, in milliseconds; the worst of five turns. */
async function exactAfter(
  sql: Database,
  { first, progress, signal }: { first: number; progress: (text: string) => void; signal: AbortSignal },
): Promise<number> {
  let worst = 0;
  for (let turn = 0; turn < 5; turn += 1) {
    const wanted = (await total(sql)) + 1000;
    await queue(sql, 1000, { progress: () => {}, signal }, { lanes, first: first + turn * 1000 });
    const began = performance.now();
    while ((await total(sql)) !== wanted) {
      signal.throwIfAborted();
      if (performance.now() - began > 10_000) {
        progress("the backlog was still wrong after 10 s");
        return 10_000;
      }
      await pause(10);
    }
    worst = Math.max(worst, performance.now() - began);
  }
  return worst;
}

async function total(sql: Database): Promise<number> {
  return (await backlogs(sql)).reduce((sum, { queued }) => sum + queued, 0);
}
