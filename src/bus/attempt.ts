import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import type { BudgetPolicy } from "../contracts/budget.ts";
import { asFailure, Failure } from "../contracts/failure.ts";
import type { Log } from "../contracts/log.ts";
import { dropStaged } from "../store/artifacts.ts";
import type { Taken } from "../store/claims.ts";
import type { Done } from "../store/step.ts";
import type { AnyHandler, Outcome, Tools } from "./handler.ts";
import { doneOf, isPlain, type Left, lastOf, type Settling, settleDone, settleFailed } from "./settle.ts";
import { openTools } from "./tools.ts";

/** What every attempt is given: the door it settles through and the tools that do not depend on the message. */
export type Workshop = Settling & {
  name: string;
  attemptMs: number; // an attempt that takes longer is ended
  log: Log;
  budgets?: () => BudgetPolicy; // without them nothing is put aside
  tools: Pick<Tools, "now" | "models" | "sandbox">;
  /** Settles with the next round of the worker; then calls `ended`: with `lease_lost`, or why the database refused it. */
  settle(done: Done, ended: (reason?: unknown) => void): void;
  /** Says that a message of ours is tried again after a while. */
  later(delayMs: number): void;
};

/** An attempt under way. `abort` reaches the handler's signal. */
export type Attempt = {
  message: Taken;
  overAt: number; // by performance.now(): what takes longer than this is ended
  abort(reason: Failure): void;
};

/**
 * Hands a claimed message to its handler and settles what comes of it, or why nothing did; then calls `over`, with false
 * when that could not be settled, and the lease must run out. There are many at a time: no promise more than needed.
 */
export function attempt(
  handler: AnyHandler,
  message: Taken,
  { shop, over }: { shop: Workshop; over: (settled: boolean) => void },
): Attempt {
  const stop = new Stop();
  const { tools, left } = openTools(message, { shop, stop });
  let open = true; // nothing has come of it yet

  const failed = (thrown: unknown) => {
    if (!open) return;
    open = false;
    settleThrown(asFailure(thrown), message, { shop, left }).then(
      () => over(true),
      (error: unknown) => {
        const failure = asFailure(error);
        shop.log.warn({ ...factsOf(message), reason: failure.message }, "attempt not settled");
        over(failure.code === "lease_lost");
      },
    );
  };
  const ended = (reason?: unknown) => {
    if (reason === undefined) return over(true);
    open = true;
    failed(reason);
  };
  const came = (outcome: Outcome<unknown>) => {
    if (!open) return;
    open = false;
    try {
      checkResult(handler, outcome);
      const come = { outcome, ...left };
      if (!isPlain(message, come)) persist(() => settleDone(shop, message, come)).then(() => ended(), ended);
      else if (!outcome.next?.length) shop.settle(lastOf(message, come), ended);
      else doneOf(shop.sql, message, come).then((done) => shop.settle(done, ended), ended);
    } catch (error) {
      ended(error);
    }
  };

  stop.heard = failed;
  try {
    if ((message.leftMs ?? 1) <= 0) throw new Failure("expired", "its time to live was over before it was begun");
    parsePayload(handler, message);
    handler.handle(message, tools).then(came, failed);
  } catch (error) {
    failed(error);
  }
  const overAt = performance.now() + Math.min(shop.attemptMs, message.leftMs ?? Number.POSITIVE_INFINITY);
  return { message, overAt, abort: (reason) => stop.pull(reason) };
}

/** Ends an attempt that has taken too long, or whose message has outlived its time. */
export function endLate({ message: { leftMs }, abort }: Attempt, { attemptMs }: Workshop): void {
  if (leftMs !== null && leftMs <= attemptMs) abort(new Failure("expired", "its time to live is over"));
  else abort(new Failure("attempt_timeout", `the attempt took longer than ${attemptMs} ms`));
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

function parsePayload(handler: AnyHandler, message: Taken): void {
  const payload = handler.accepts.safeParse(message.payload);
  if (!payload.success) {
    throw new Failure("invalid_message", `the payload does not fit ${handler.role}: ${z.prettifyError(payload.error)}`);
  }
  message.payload = payload.data;
}

function checkResult(handler: AnyHandler, outcome: Outcome<unknown>): void {
  const result = handler.answers.safeParse(outcome.result);
  if (!result.success) {
    throw new Failure("internal", `${handler.role} answered a wrong shape: ${z.prettifyError(result.error)}`);
  }
  outcome.result = result.data;
}

/** The end of an attempt from outside. An AbortSignal is made only for a handler that asks: they are dear. */
export class Stop {
  /** Called once, with the reason: what is under way is not waited for. */
  heard: (reason: Failure) => void = () => {};
  #reason: Failure | null = null;
  #control: AbortController | null = null;

  pull(reason: Failure): void {
    if (this.#reason) return;
    this.#reason = reason;
    this.#control?.abort(reason);
    this.heard(reason);
  }

  get signal(): AbortSignal {
    this.#control ??= new AbortController();
    if (this.#reason) this.#control.abort(this.#reason);
    return this.#control.signal;
  }

  /** Throws the reason when it was pulled. */
  check(): void {
    if (this.#reason) throw this.#reason;
  }
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
