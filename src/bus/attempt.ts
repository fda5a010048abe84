import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { asFailure, Failure } from "../contracts/failure.ts";
import type { Log } from "../contracts/log.ts";
import { dropStaged, type Staged, stage } from "../store/artifacts.ts";
import { tell } from "../store/events.ts";
import type { Done, Fact, Taken } from "../store/leases.ts";
import { wake } from "../store/wake.ts";
import type { AnyHandler, Outcome, Tools } from "./handler.ts";
import { doneOf, isPlain, type Settling, settleDone, settleFailed } from "./settle.ts";

/** What every attempt is given: the door it settles through and the tools that do not depend on the message. */
export type Workshop = Settling & {
  name: string;
  attemptMs: number; // an attempt that takes longer is ended
  log: Log;
  tools: Pick<Tools, "now" | "models" | "sandbox">;
  /** Settles with the next round of the worker. Rejects with `lease_lost`, or with why the database refused it. */
  settle(done: Done): Promise<void>;
  /** Says that a message of ours is tried again after a while. */
  later(delayMs: number): void;
};

/**
 * An attempt under way. `settled` never rejects; false: we could not settle it, and its lease must run out. `abort`
 * reaches the handler's signal.
 */
export type Attempt = { message: Taken; settled: Promise<boolean>; abort(reason: Failure): void };

/** Hands a claimed message to its handler and settles what comes of it. */
export function attempt(handler: AnyHandler, message: Taken, shop: Workshop): Attempt {
  const control = new AbortController();
  const overTime = setTimeout(
    () => control.abort(tooLong(message, shop)),
    Math.min(shop.attemptMs, message.leftMs ?? Infinity),
  );
  const settled = carryOut(handler, message, { shop, signal: control.signal })
    .then(
      () => true,
      (error) => {
        shop.log.warn({ ...factsOf(message), reason: asFailure(error).message }, "attempt not settled");
        return asFailure(error).code === "lease_lost";
      },
    )
    .finally(() => clearTimeout(overTime));
  return { message, settled, abort: (reason) => control.abort(reason) };
}

async function carryOut(
  handler: AnyHandler,
  message: Taken,
  { shop, signal }: { shop: Workshop; signal: AbortSignal },
): Promise<void> {
  const staged: Staged[] = [];
  const records: Fact[] = [];
  const tools: Tools = {
    ...shop.tools,
    sql: shop.sql,
    signal,
    async keep(artifact) {
      signal.throwIfAborted();
      const token = `${message.token}-${message.id}`;
      staged.push(await stage(shop.artifactsBase, artifact, { message, token, at: shop.tools.now() }));
    },
    async status(text, data = {}) {
      signal.throwIfAborted(); // an attempt that has ended has no progress
      await tell(shop.sql, message, { what: "status", worker: shop.name, details: { text, ...data } });
      await wake(shop.sql, { roles: [], traces: [message.traceId], flows: [] });
    },
    record: (kind, data) => records.push({ kind, data }),
  };

  try {
    if ((message.leftMs ?? 1) <= 0) throw new Failure("expired", "its time to live was over before it was begun");
    const outcome = await unlessAborted(signal, () => handle(handler, message, tools));
    if (isPlain(message, { outcome, staged })) await shop.settle(await doneOf(shop.sql, message, { outcome, records }));
    else await persist(() => settleDone(shop, message, { outcome, staged, records }));
  } catch (thrown) {
    const failure = asFailure(thrown);
    if (failure.code === "lease_lost") {
      await dropStaged(staged);
      throw failure;
    }
    if (failure.code === "internal")
      shop.log.error({ trace_id: message.traceId, error: failure.cause }, failure.message);
    const delayMs = await persist(() => settleFailed(shop, message, { thrown: failure, staged, records }));
    if (delayMs !== null) shop.later(delayMs);
    shop.log.info({ ...factsOf(message), code: failure.code, again_in_ms: delayMs }, "attempt failed");
  }
}

async function handle(handler: AnyHandler, message: Taken, tools: Tools): Promise<Outcome<unknown>> {
  const payload = handler.accepts.safeParse(message.payload);
  if (!payload.success) {
    throw new Failure("invalid_message", `the payload does not fit ${handler.role}: ${z.prettifyError(payload.error)}`);
  }
  const outcome = await handler.handle({ ...message, payload: payload.data }, tools);
  const result = handler.answers.safeParse(outcome.result);
  if (!result.success) {
    throw new Failure("internal", `${handler.role} answered a wrong shape: ${z.prettifyError(result.error)}`);
  }
  return { ...outcome, result: result.data };
}

/** Runs `act`, but does not wait for a handler that does not listen to its signal. */
function unlessAborted<T>(signal: AbortSignal, act: () => Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    act().then(resolve, reject);
  });
}

/** Settles again while the database is away: what was done is not to be done twice because nobody wrote it down. */
async function persist<T>(settle: () => Promise<T>, tries = 6): Promise<T> {
  for (let n = 1; ; n += 1) {
    try {
      return await settle();
    } catch (error) {
      if (n === tries || asFailure(error).code !== "database_unavailable") throw error;
      await pause(100 * 2 ** n);
    }
  }
}

function tooLong({ leftMs }: Taken, { attemptMs }: Workshop): Failure {
  if (leftMs !== null && leftMs <= attemptMs) return new Failure("expired", "its time to live is over");
  return new Failure("attempt_timeout", `the attempt took longer than ${attemptMs} ms`);
}

function factsOf({ traceId, id, service, role, attempts }: Taken) {
  return { trace_id: traceId, message_id: id, role: `${service}.${role}`, attempts };
}
