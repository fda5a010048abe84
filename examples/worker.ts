/**
 * A worker with a role of its own, against any database that `dagent migrate` has seen:
 *
 *     npm run -s build && DATABASE_URL=postgres://… node dist/examples/worker.js
 *
 * It declares its role, takes a message, answers, and stops. Kill it in between: the next one finishes the work.
 */
import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { z } from "zod";
import type { Handler } from "../src/bus/handler.ts";
import { publish } from "../src/bus/publish.ts";
import { startWorker } from "../src/bus/worker.ts";
import { Failure } from "../src/contracts/failure.ts";
import { connect } from "../src/store/database.ts";
import { traceOf } from "../src/store/traces.ts";

const Question = z.object({ text: z.string() });
const shout: Handler<z.infer<typeof Question>, string> = {
  role: "shout.loud",
  accepts: Question,
  answers: z.string(),
  async handle({ payload }) {
    const text = payload.text.toUpperCase();
    return { result: text, answer: { text, verdict: null, citations: [], provider: null, replay: false } };
  },
};

const url = process.env.DATABASE_URL;
if (!url) throw new Error("set DATABASE_URL to a database that `dagent migrate` has seen");
const sql = connect(url);
const worker = await startWorker({
  sql,
  name: `shout-${process.pid}`,
  handlers: [shout],
  concurrency: 4,
  leaseMs: 15_000,
  attemptMs: 60_000,
  pollMs: 1000,
  artifactsBase: tmpdir(),
  policy: () => ({ default: { max_attempts: 5, base_ms: 500, factor: 2, cap_ms: 60_000, jitter: 0.2 }, keys: {} }),
  chance: Math.random,
  log: { info() {}, warn: console.error, error: console.error },
  tools: {
    now: () => new Date(),
    models: new Map(),
    sandbox: { run: () => Promise.reject(new Failure("sandbox_unavailable", "this worker has no sandbox")) },
  },
});

const traceId = randomUUID();
const request = {
  to: shout.role,
  tenant: "local",
  intent: "chat",
  payload: { text: "hello" },
  traceparent: null,
} as const;
await publish(sql, { ...request, traceId, idempotencyKey: traceId });
for (let status = "open"; status === "open"; status = (await traceOf(sql, traceId, null))?.status ?? "gone") {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
console.log((await traceOf(sql, traceId, null))?.answer?.text);
await worker.stop(1000);
await sql.end();
