import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import type { BudgetPolicy } from "../contracts/budget.ts";
import { asFailure, Failure } from "../contracts/failure.ts";
import type { Log } from "../contracts/log.ts";
import { dropStaged } from "../store/artifacts.ts";
import type { Taken } from "../store/claims.ts";
import { mayPass } from "../store/database.ts";
import type { Done } from "../store/step.ts";
import type { AnyHandler, Outcome, Tools } from "./handler.ts";
import { forgetRoles } from "./roles.ts";
import { doneOf, isPlain, type Left, lastOf, type Settling, settleDone, settleFailed } from "./settle.ts";
import { AttemptTools } from "./tools.ts";

/** Hears that a settlement was written; or `lease_lost`, or why the database refused it. */
export type Settled = { readonly message: Taken; ended(reason?: unknown): void };

/** What every attempt is given: the door it settles through and the tools that do not depend on the message. */
export type Workshop = Settling & {
  name: string;
  attemptMs: number; // an attempt that takes longer is ended
  log: Log;
  budgets?: () => BudgetPolicy; // without them nothing is put aside
  tools: Pick<Tools, "now" | "models" | "prices" | "outside" | "sandbox">;
  /** Settles with the next round of the worker, and tells `whom` what came of that. */
  settle(done: Done, whom: Settled): void;
  /** An attempt is over. Not `settled`: nothing of it could be written, and its lease must run out. */
  over(attempt: Attempt, settled: boolean): void;
  /** Says that a message of ours is tried again after a while. */
  later(delayMs: number): void;
};

/**
 * An attempt under way: a claimed message in the hands of its handler, until what comes of it is settled, or why nothing
 * did. There are thousands at a time, so each is one object with as little as it needs.
 */
export class Attempt implements Settled {
  readonly message: Taken;
  readonly shop: Workshop;
  /** By performance.now(): what takes longer than this is ended. */
  readonly overAt: number;
  readonly #handler: AnyHandler;
  #open = true; // nothing has come of it yet
  #stopped: Failure | null = null;
  #control: AbortController | null = null;
  #left: Left | null = null;

  constructor(handler: AnyHandler, message: Taken, shop: Workshop) {
    this.message = message;
    this.shop = shop;
    this.overAt = performance.now() + Math.min(shop.attemptMs, message.leftMs ?? Number.POSITIVE_INFINITY);
    this.#handler = handler;
  }

  begin(): void {
    const { message } = this;
    try {
      if ((message.leftMs ?? 1) <= 0) throw new Failure("expired", "its time to live was over before it was begun");
      parsePayload(this.#handler, message);
      this.#handler.handle(message, new AttemptTools(this)).then(
        (outcome) => this.#came(outcome),
        (thrown: unknown) => this.#failed(thrown),
      );
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Ends it from outside: what is under way is not waited for. */
  abort(reason: Failure): void {
    if (this.#stopped) return;
    this.#stopped = reason;
    this.#control?.abort(reason);
    this.#failed(reason);
  }

  /** What it leaves beside its outcome. Most leave nothing. */
  get left(): Left {
    this.#left ??= { staged: [], records: [] };
    return this.#left;
  }

  /** Fires with `abort`. It is made only for a handler that asks: signals are dear. */
  get signal(): AbortSignal {
    this.#control ??= new AbortController();
    if (this.#stopped) this.#control.abort(this.#stopped);
    return this.#control.signal;
  }

  /** Throws why it was ended from outside. */
  check(): void {
    if (this.#stopped) throw this.#stopped;
  }

  ended(reason?: unknown): void {
    if (reason === undefined) {
      this.shop.over(this, true);
      return;
    }
    this.#open = true;
    this.#failed(reason);
  }

  #came(outcome: Outcome<unknown>): void {
    if (!this.#open) return;
    this.#open = false;
    const { message, shop } = this;
    const left = this.#left ?? nothingLeft;
    try {
      checkResult(this.#handler, outcome);
      if (!isPlain(message, outcome, left)) {
        persist(() => settleDone(shop, message, { outcome, ...left })).then(
          () => this.ended(),
          (error: unknown) => this.ended(error),
        );
      } else if (!outcome.next?.length) shop.settle(lastOf(message, outcome, left.records), this);
      else this.#goOn(outcome, true);
    } catch (error) {
      this.ended(error);
    }
  }

  /** Settles with what follows. The number of shards may have become smaller since we looked: then once more. */
  #goOn(outcome: Outcome<unknown>, again: boolean): void {
    const { message, shop, left } = this;
    const ended = (reason?: unknown) => {
      if (!again || !(reason instanceof Failure) || reason.code !== "unknown_role") return this.ended(reason);
      forgetRoles(shop.sql);
      this.#goOn(outcome, false);
    };
    doneOf(shop.sql, message, { outcome, ...left }).then((done) => shop.settle(done, { message, ended }), ended);
  }

  #failed(thrown: unknown): void {
    if (!this.#open) return;
    this.#open = false;
    const { message, shop, left } = this;
    settleThrown(asFailure(thrown), message, { shop, left }).then(
      () => shop.over(this, true),
      (error: unknown) => {
        shop.log.warn({ ...factsOf(message), reason: asFailure(error).message }, "attempt not settled");
        shop.over(this, false);
      },
    );
  }
}

const nothingLeft: Left = { staged: [], records: [] };

/** Ends an attempt that has taken too long, or whose message has outlived its time. */
export function endLate(attempt: Attempt): void {
  const { leftMs } = attempt.message;
  const { attemptMs } = attempt.shop;
  if (leftMs !== null && leftMs <= attemptMs) attempt.abort(new Failure("expired", "its time to live is over"));
  else attempt.abort(new Failure("attempt_timeout", `the attempt took longer than ${attemptMs} ms`));
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

/** Settles again while the database is away or others are in the way: what was done is not to be done twice because nobody wrote it down. */
async function persist<T>(settle: () => Promise<T>, tries = 6): Promise<T> {
  for (let n = 1; ; n += 1) {
    try {
      return await settle();
    } catch (error) {
      if (n === tries || !mayPass(error)) throw error;
      await pause(100 * 2 ** n);
    }
  }
}

function factsOf({ traceId, id, service, role, attempts }: Taken) {
  return { trace_id: traceId, message_id: id, role: `${service}.${role}`, attempts };
}
