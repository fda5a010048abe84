import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { asFailure, Failure } from "../contracts/failure.ts";
import type { Log } from "../contracts/log.ts";
import { dropStaged } from "../store/artifacts.ts";
import type { Done, Taken } from "../store/leases.ts";
import type { AnyHandler, Outcome, Tools } from "./handler.ts";
import { doneOf, isPlain, type Left, type Settling, settleDone, settleFailed } from "./settle.ts";
import { openTools } from "./tools.ts";

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
export type Attempt = {
  message: Taken;
  settled: Promise<boolean>;
  overAt: number; // by performance.now(): what takes longer than this is ended
  abort(reason: Failure): void;
};

/** Hands a claimed message to its handler and settles what comes of it. */
export function attempt(handler: AnyHandler, message: Taken, shop: Workshop): Attempt {
  const stop = openStop();
  return {
    message,
    settled: carryOut(handler, message, { shop, stop }),
    overAt: performance.now() + Math.min(shop.attemptMs, message.leftMs ?? Number.POSITIVE_INFINITY),
    abort: stop.pull,
  };
}

/** Ends an attempt that has taken too long, or whose message has outlived its time. */
export function endLate({ message: { leftMs }, abort }: Attempt, { attemptMs }: Workshop): void {
  if (leftMs !== null && leftMs <= attemptMs) abort(new Failure("expired", "its time to live is over"));
  else abort(new Failure("attempt_timeout", `the attempt took longer than ${attemptMs} ms`));
}

async function carryOut(
  handler: AnyHandler,
  message: Taken,
  { shop, stop }: { shop: Workshop; stop: Stop },
): Promise<boolean> {
  const { tools, left } = openTools(message, { shop, stop });
  try {
    try {
      if ((message.leftMs ?? 1) <= 0) throw new Failure("expired", "its time to live was over before it was begun");
      const outcome = await stop.unless(handle(handler, message, tools));
      if (isPlain(message, { outcome, ...left }))
        await shop.settle(await doneOf(shop.sql, message, { outcome, ...left }));
      else await persist(() => settleDone(shop, message, { outcome, ...left }));
    } catch (thrown) {
      await settleThrown(asFailure(thrown), message, { shop, left });
    }
    return true;
  } catch (error) {
    const failure = asFailure(error);
    shop.log.warn({ ...factsOf(message), reason: failure.message }, "attempt not settled");
    return failure.code === "lease_lost";
  }
}

async function settleThrown(
  failure: Failure,
  message: Taken,
  { shop, left }: { shop: Workshop; left: Left },
): Promise<void> {
  if (failure.code === "lease_lost") {
    await dropStaged(left.staged);
    throw failure;
  }
  if (failure.code === "internal") shop.log.error({ trace_id: message.traceId, error: failure.cause }, failure.message);
  const delayMs = await persist(() => settleFailed(shop, message, { thrown: failure, ...left }));
  if (delayMs !== null) shop.later(delayMs);
  shop.log.info({ ...factsOf(message), code: failure.code, again_in_ms: delayMs }, "attempt failed");
}

async function handle(handler: AnyHandler, message: Taken, tools: Tools): Promise<Outcome<unknown>> {
  const payload = handler.accepts.safeParse(message.payload);
  if (!payload.success) {
    throw new Failure("invalid_message", `the payload does not fit ${handler.role}: ${z.prettifyError(payload.error)}`);
  }
  message.payload = payload.data;
  const outcome = await handler.handle(message, tools);
  const result = handler.answers.safeParse(outcome.result);
  if (!result.success) {
    throw new Failure("internal", `${handler.role} answered a wrong shape: ${z.prettifyError(result.error)}`);
  }
  outcome.result = result.data;
  return outcome;
}

/** The end of an attempt from outside. An AbortSignal is made only for a handler that asks: they are dear. */
export type Stop = {
  pull(reason: Failure): void;
  signal(): AbortSignal;
  check(): void; // throws the reason when it was pulled
  /** What `work` answers, but does not wait for a handler that does not listen. */
  unless<T>(work: Promise<T>): Promise<T>;
};

function openStop(): Stop {
  let reason: Failure | null = null;
  let control: AbortController | null = null;
  let give = (_: Failure) => {};
  return {
    pull(why) {
      if (reason) return;
      reason = why;
      control?.abort(why);
      give(why);
    },
    signal() {
      control ??= new AbortController();
      if (reason) control.abort(reason);
      return control.signal;
    },
    check() {
      if (reason) throw reason;
    },
    unless: (work) =>
      new Promise((resolve, reject) => {
        give = reject;
        if (reason) reject(reason);
        work.then(resolve, reject);
      }),
  };
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

function factsOf({ traceId, id, service, role, attempts }: Taken) {
  return { trace_id: traceId, message_id: id, role: `${service}.${role}`, attempts };
}
