import { setTimeout as pause } from "node:timers/promises";
import { asFailure, Failure } from "../contracts/failure.ts";
import type { Log } from "../contracts/log.ts";
import type { Database } from "../store/database.ts";
import { type Claimed, claim, extend, nextDueMs } from "../store/messages.ts";
import { listen } from "../store/wake.ts";
import { beat, leave } from "../store/workers.ts";
import { type Attempt, attempt, type Workshop } from "./attempt.ts";
import type { AnyHandler } from "./handler.ts";
import { giveBack, settleLapsed } from "./settle.ts";

export type WorkerOptions = Workshop & {
  sql: Database;
  name: string; // unique among all workers
  handlers: AnyHandler[];
  concurrency: number; // messages at one time
  leaseMs: number; // a worker that is silent this long has lost its messages
  pollMs: number; // how long a lost wake-up can cost
  log: Log;
};

export type Worker = { stop(graceMs: number): Promise<void> };

/**
 * Claims due messages of its handlers' roles and hands each to its handler, until it is stopped.
 * Stopping claims nothing more, waits `graceMs` for what is in hand, gives the rest back.
 */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const { sql, name, handlers, concurrency, leaseMs, pollMs, log } = options;
  const roles = handlers.map(({ role }) => role);
  const byRole = new Map(handlers.map((handler) => [handler.role, handler]));
  const running = new Map<string, Attempt>(); // by lease token
  let stopping = false;
  let ring = () => {};
  const unlisten = await listen(sql, (hint) => {
    if (!hint || hint.roles.some((role) => byRole.has(role))) ring();
  });

  async function claimOnce(): Promise<number> {
    const free = concurrency - running.size;
    if (free <= 0) return 0;
    const messages = await claim(sql, { roles, worker: name, limit: free, leaseMs });
    for (const message of messages) begin(message);
    return messages.length;
  }

  function begin(message: Claimed): void {
    const handler = byRole.get(`${message.service}.${message.role}`);
    if (!handler) throw new Failure("internal", `claimed a message of ${message.service}.${message.role}`);
    const one = attempt(handler, message, options);
    running.set(message.token, one);
    one.settled.finally(() => {
      running.delete(message.token);
      ring();
    });
  }

  async function loop(): Promise<void> {
    let failures = 0;
    while (!stopping) {
      const rung = new Promise<void>((resolve) => {
        ring = resolve;
      });
      try {
        const claimed = await claimOnce();
        failures = 0;
        if (claimed > 0 && running.size < concurrency) continue;
        const due = running.size < concurrency ? await nextDueMs(sql, roles) : null;
        await Promise.race([rung, pause(Math.min(due ?? pollMs, pollMs), undefined, { ref: false })]);
      } catch (error) {
        failures += 1;
        log.warn({ worker: name, failures, reason: asFailure(error).message }, "could not claim, trying again");
        await pause(Math.min(5000, 100 * 2 ** failures));
      }
    }
  }

  /** Keeps the leases of what runs, takes up what others lost, and tells that we live. */
  async function keepAlive(): Promise<void> {
    const tokens = [...running.keys()];
    const held = new Set(tokens.length > 0 ? await extend(sql, tokens, leaseMs) : []);
    for (const token of tokens) {
      if (!held.has(token)) running.get(token)?.abort(new Failure("lease_lost", "the lease ran out"));
    }
    if (await settleLapsed(options)) ring();
    await beat(sql, { id: name, kind: "worker", roles, facts: { running: running.size, concurrency } });
  }

  const alive = async () => {
    await keepAlive().catch((error) =>
      log.warn({ worker: name, reason: asFailure(error).message }, "heartbeat failed"),
    );
  };
  const heartbeat = setInterval(alive, Math.min(leaseMs / 3, 1000)); // also how late a lapsed lease is noticed
  await alive();
  const ended = loop();

  return {
    async stop(graceMs) {
      stopping = true;
      ring();
      await ended;
      const grace = new AbortController();
      await Promise.race([
        Promise.allSettled([...running.values()].map(({ settled }) => settled)),
        pause(graceMs, undefined, { signal: grace.signal }).catch(() => {}),
      ]);
      grace.abort();
      clearInterval(heartbeat);
      for (const { message, abort } of running.values()) {
        await giveBack(options, message).catch(() => {}); // the lease runs out by itself
        abort(new Failure("lease_lost", "the worker stopped"));
      }
      await unlisten().catch(() => {}); // its connection may be gone already
      await leave(sql, name).catch(() => {});
    },
  };
}
