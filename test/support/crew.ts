import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { z } from "zod";
import type { AnyHandler, Handler, Outcome } from "../../src/bus/handler.ts";
import { publish, type Request } from "../../src/bus/publish.ts";
import { startWorker, type Worker, type WorkerOptions } from "../../src/bus/worker.ts";
import type { Answer } from "../../src/contracts/message.ts";
import { eventsOf } from "../../src/store/events.ts";
import { traceOf } from "../../src/store/traces.ts";
import type { World } from "./world.ts";

export const answer: Answer = { text: "well", verdict: null, citations: [], provider: null, replay: false };

/** A role whose handler takes and answers anything. */
export function handler(
  role: string,
  handle: (...args: Parameters<Handler<unknown, unknown>["handle"]>) => Promise<Outcome<unknown>>,
  rest: Partial<AnyHandler> = {},
): AnyHandler {
  return { role, accepts: z.unknown(), answers: z.unknown(), handle, ...rest };
}

/** Workers of a world, and a client that asks them. Deaf ones hear no wake-ups: they look. */
export function openCrew(world: World, { deaf = false } = {}) {
  let workers: Worker[] = [];
  const unheard = new Proxy(world.sql, {
    get: (sql, key) => (key === "listen" ? async () => ({ unlisten: async () => {} }) : Reflect.get(sql, key)),
  });
  return {
    async start(handlers: AnyHandler[], rest: Partial<WorkerOptions> = {}): Promise<Worker> {
      const { now, models, sandbox } = world.tools;
      const worker = await startWorker({
        ...world.settling,
        sql: deaf ? unheard : world.sql,
        name: `worker-${workers.length}`,
        handlers,
        concurrency: 4,
        leaseMs: 60_000,
        pollMs: deaf ? 50 : 1000,
        attemptMs: 60_000,
        log: world.log,
        tools: { now, models, sandbox },
        ...rest,
      });
      workers.push(worker);
      return worker;
    },
    async ask(to: string, payload: unknown = {}, rest: Partial<Request> = {}): Promise<string> {
      const traceId = randomUUID();
      const request = { to, tenant: "local", intent: "chat", payload, traceId, traceparent: null } as const;
      await publish(world.sql, { ...request, idempotencyKey: traceId, ...rest });
      return traceId;
    },
    kinds: async (traceId: string) => (await eventsOf(world.sql, traceId)).map(({ kind }) => kind),
    ended: (traceId: string) =>
      expect.poll(async () => (await traceOf(world.sql, traceId, null))?.status, { timeout: 20_000, interval: 20 }),
    async stop(): Promise<void> {
      await Promise.all(workers.map((worker) => worker.stop(0)));
      workers = [];
    },
  };
}

/** A gate that opens once. */
export function gate(): { open(): void; opened: Promise<void> } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}
