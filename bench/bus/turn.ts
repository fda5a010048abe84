import { setTimeout as pause } from "node:timers/promises";
import { Failure } from "../../src/contracts/failure.ts";
import { connect } from "../../src/store/database.ts";
import type { BenchGround } from "../ground.ts";
import { percentile } from "../numbers.ts";
import { cpuOf } from "./cpu.ts";
import { type Hands, hireHands } from "./hands.ts";
import type { Metric } from "./metrics.ts";
import type { Body, Client, System, SystemName } from "./system.ts";

/** How much is measured, the same for every system. */
export type Extent = {
  messages: number; // a drain, and a batch enqueue
  batch: number; // messages a call
  singles: number;
  inFlight: number; // callers that publish single messages at one time
  samples: number; // of idle latency
};

/** A turn of one system: a new database, `processes` workers, and what is measured with them. */
export type Turn = {
  ground: BenchGround;
  name: SystemName;
  system: System;
  processes: 1 | 2;
  extent: Extent;
  signal: AbortSignal;
};

type Values = Partial<Record<Metric, number>>;

/** How long nothing may move before a measurement is given up, in milliseconds. */
const stuckMs = 60_000;

/** The text of every message: with its number about 100 bytes, as an address and a few words are. */
const text = "a message of the size that most messages have, which is the size of an address and a few words";

/**
 * Measures in a new database. The workers are warm and stopped while the queue is filled, then let go: a drain holds no
 * start-up. With one process, idle latency is measured afterwards, in the same database; with two, single enqueues.
 */
export async function measureTurn(turn: Turn): Promise<Values> {
  const { ground, name, system, processes, extent } = turn;
  const database = `bench_turn_${name}`;
  await ground.drop(database);
  const url = await ground.database(database, templateOf(name));
  const client = await system.client(url, extent.inFlight);
  let hands: Hands | null = null;
  try {
    const numbers = bodies();
    if (system.work) {
      hands = await hireHands(name, url, processes);
      await warmUp(turn, { client, hands, numbers });
    }
    await hold(ground, database, hands);
    const values: Values = { enqueue_batch: await enqueueBatches(client, numbers, extent) };
    if (hands) Object.assign(values, await drain(turn, { url, client, hands }));
    if (processes === 2) {
      await hold(ground, database, hands);
      values.enqueue_single = await enqueueSingles(client, numbers, extent);
    } else if (hands) Object.assign(values, await idle(client, hands, numbers, extent.samples));
    return values;
  } finally {
    await hands?.end();
    await client.close();
    await ground.drop(database);
  }
}

/** Stops the workers between two statements, so that none of them keeps a lock while it is stopped. */
async function hold(ground: BenchGround, database: string, hands: Hands | null): Promise<void> {
  for (let turn = 0; hands && turn < 200; turn += 1) {
    hands.hold();
    await pause(2); // what they sent has arrived
    if (!(await ground.busy(database))) return;
    hands.go();
    await pause(10);
  }
  hands?.hold();
}

/** The database that each turn of a system is a copy of. */
export function templateOf(name: SystemName): string {
  return `bench_${name}`;
}

function* bodies(): Generator<Body, never> {
  for (let n = 1; ; n += 1) yield { n, text };
}

type At = { client: Client; hands: Hands; numbers: Generator<Body, never> };

function take(numbers: Generator<Body, never>, count: number): Body[] {
  return Array.from({ length: count }, () => numbers.next().value);
}

/** As much as is measured, so that code is compiled, connections are open and statements are planned. */
async function warmUp({ extent, signal }: Turn, { client, hands, numbers }: At): Promise<void> {
  for (let left = extent.messages; left > 0; left -= extent.batch) {
    await client.batch(take(numbers, Math.min(left, extent.batch)));
  }
  for (const body of take(numbers, 5)) await client.single(body);
  await settled(hands.begun(), { client, hands, signal });
}

async function enqueueBatches(client: Client, numbers: Generator<Body, never>, extent: Extent): Promise<number> {
  const calls: Body[][] = [];
  for (let left = extent.messages; left > 0; left -= extent.batch) {
    calls.push(take(numbers, Math.min(left, extent.batch)));
  }
  const began = performance.now();
  for (const call of calls) await client.batch(call);
  return perSecond(extent.messages, performance.now() - began);
}

async function enqueueSingles(client: Client, numbers: Generator<Body, never>, extent: Extent): Promise<number> {
  const all = take(numbers, extent.singles).values();
  const caller = async () => {
    for (const body of all) await client.single(body); // all callers take from one iterator
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: extent.inFlight }, caller));
  return perSecond(extent.singles, performance.now() - began);
}

async function drain(
  { ground, system, processes, extent, signal }: Turn,
  { url, client, hands }: Omit<At, "numbers"> & { url: string },
): Promise<Values> {
  await tidy(ground, url);
  const { messages } = extent;
  const before = hands.begun();
  const cpuBefore = cpuOf({ workers: hands.pids, server: ground.pid });
  const began = performance.now();
  hands.go();
  await settled(before + messages, { client, hands, signal });
  const rate = perSecond(messages, performance.now() - began);
  const cpuAfter = cpuOf({ workers: hands.pids, server: ground.pid });
  await system.check?.(url, messages);
  if (processes === 2) return { drain_2: rate };
  if (!cpuBefore || !cpuAfter) return { drain_1: rate };
  const worker = ((cpuAfter.workers - cpuBefore.workers) * 1000) / messages;
  const server = ((cpuAfter.server - cpuBefore.server) * 1000) / messages;
  return {
    drain_1: rate,
    cpu_ms_per_1k: worker + server,
    cpu_worker_ms_per_1k: worker,
    cpu_postgres_ms_per_1k: server,
  };
}

/** Statistics as they are some minutes later anyway, and nobody's unwritten pages: not charged to the drain. */
async function tidy(ground: BenchGround, url: string): Promise<void> {
  const sql = connect(url, { max: 1 });
  await sql.unsafe("vacuum (analyze)");
  await sql.end();
  await ground.admin.unsafe("checkpoint");
}

/** Waits until `target` messages were begun and nothing is left to settle. Asks the database only near the end. */
async function settled(
  target: number,
  { client, hands, signal }: { client: Client; hands: Hands; signal: AbortSignal },
): Promise<void> {
  let moved = performance.now();
  let last = -1;
  while (hands.begun() < target || (await client.left())) {
    signal.throwIfAborted();
    if (hands.begun() !== last) {
      last = hands.begun();
      moved = performance.now();
    }
    if (performance.now() - moved > stuckMs) {
      throw new Failure("internal", `nothing moved for ${stuckMs / 1000} s: ${last} of ${target} messages were begun`);
    }
    await pause(2);
  }
}

/** One message at a time, each some milliseconds after the last one began. */
async function idle(client: Client, hands: Hands, numbers: Generator<Body, never>, samples: number): Promise<Values> {
  let hear: (at: bigint) => void = () => {};
  let wanted = 0;
  hands.watch((n, at) => {
    if (n === wanted) hear(at);
  });
  const waits: number[] = [];
  for (const body of take(numbers, samples)) {
    await pause(5 + Math.random() * 15);
    wanted = body.n;
    const heard = new Promise<bigint>((resolve, reject) => {
      hear = resolve;
      setTimeout(() => reject(new Failure("internal", "an idle worker did not begin a message")), stuckMs).unref();
    });
    const began = process.hrtime.bigint();
    await client.single(body);
    waits.push(Number((await heard) - began) / 1e6);
  }
  return { idle_p50_ms: percentile(waits, 50) ?? Number.NaN, idle_p99_ms: percentile(waits, 99) ?? Number.NaN };
}

function perSecond(count: number, ms: number): number {
  return (count * 1000) / ms;
}
