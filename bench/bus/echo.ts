import { tmpdir } from "node:os";
import { z } from "zod";
import type { AnyHandler } from "../../src/bus/handler.ts";
import { startWorker, type Worker } from "../../src/bus/worker.ts";
import { Failure } from "../../src/contracts/failure.ts";
import type { Message } from "../../src/contracts/message.ts";
import type { RetryPolicy } from "../../src/contracts/policy.ts";
import type { Database } from "../../src/store/database.ts";

/** The only role of a benchmark: it says that it heard. */
export const role = "bench.echo";

const Echo = z.object({ n: z.number(), text: z.string() });
export type Echo = z.infer<typeof Echo>;

/** The others keep no result at all; ours has to end the trace with an answer. */
const Heard = z.object({ n: z.number() });

/** Tried again at once: what is measured is the bus, not a delay that an operator chooses. */
const policy: RetryPolicy = {
  default: { max_attempts: 5, base_ms: 0, factor: 1, cap_ms: 0, jitter: 0 },
  keys: {},
};

const silent = { info() {}, warn: console.error, error: console.error };

export type Echoing = { sql: Database; name: string; concurrency: number; leaseMs: number };

/** Starts a worker of ours whose one handler calls `act` first, and then answers. */
export function startEcho(
  { sql, name, concurrency, leaseMs }: Echoing,
  act: (message: Message<Echo>) => Promise<void> | void,
): Promise<Worker> {
  const echo: AnyHandler = {
    role,
    accepts: Echo,
    answers: Heard,
    async handle(message) {
      await act(message);
      const answer = { text: "heard", verdict: null, citations: [], provider: null, replay: false };
      return { result: { n: message.payload.n }, answer };
    },
  };
  return startWorker({
    sql,
    artifactsBase: tmpdir(), // nothing is kept
    policy: () => policy,
    chance: Math.random,
    name,
    handlers: [echo],
    concurrency,
    leaseMs,
    attemptMs: 600_000,
    pollMs: 1000,
    log: silent,
    tools: { now: () => new Date(), models: new Map(), sandbox: { run: noSandbox } },
  });
}

async function noSandbox(): Promise<never> {
  throw new Failure("sandbox_unavailable", "a benchmark has no sandbox");
}
