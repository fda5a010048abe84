import { z } from "zod";
import { asFailure, Failure } from "../contracts/failure.ts";
import type { Log } from "../contracts/log.ts";
import { dropStaged, type Staged, stage } from "../store/artifacts.ts";
import { tell } from "../store/events.ts";
import type { Claimed } from "../store/messages.ts";
import { wake } from "../store/wake.ts";
import type { AnyHandler, Outcome, Tools } from "./handler.ts";
import { type Settling, settleDone, settleFailed } from "./settle.ts";

/** What every attempt is given: the door it settles through and the tools that do not depend on the message. */
export type Workshop = Settling & {
  name: string;
  attemptMs: number; // an attempt that takes longer is ended
  log: Log;
  tools: Pick<Tools, "now" | "models" | "sandbox">;
};

/** An attempt under way. `settled` never rejects; `abort` reaches the handler's signal. */
export type Attempt = { message: Claimed; settled: Promise<void>; abort(reason: Failure): void };

/** Hands a claimed message to its handler and settles what comes of it. */
export function attempt(handler: AnyHandler, message: Claimed, shop: Workshop): Attempt {
  const control = new AbortController();
  const facts = { trace_id: message.traceId, message_id: message.id, role: handler.role, attempts: message.attempts };
  const overTime = setTimeout(
    () => control.abort(new Failure("attempt_timeout", `the attempt took longer than ${shop.attemptMs} ms`)),
    shop.attemptMs,
  );
  const settled = carryOut(handler, message, { shop, signal: control.signal })
    .then((status) => shop.log.info({ ...facts, status }, "attempt settled"))
    .catch((error) => shop.log.warn({ ...facts, reason: asFailure(error).message }, "attempt not settled"))
    .finally(() => clearTimeout(overTime));
  return { message, settled, abort: (reason) => control.abort(reason) };
}

async function carryOut(
  handler: AnyHandler,
  message: Claimed,
  { shop, signal }: { shop: Workshop; signal: AbortSignal },
): Promise<string> {
  const staged: Staged[] = [];
  const records: { kind: string; data: Record<string, unknown> }[] = [];
  const tools: Tools = {
    ...shop.tools,
    sql: shop.sql,
    signal,
    async keep(artifact) {
      signal.throwIfAborted();
      staged.push(await stage(shop.artifactsBase, artifact, { message, token: message.token, at: shop.tools.now() }));
    },
    async status(text, data = {}) {
      signal.throwIfAborted(); // an attempt that has ended has no progress
      await tell(shop.sql, message, { what: "status", worker: shop.name, details: { text, ...data } });
      await wake(shop.sql, { roles: [], traces: [message.traceId] });
    },
    record: (kind, data) => records.push({ kind, data }),
  };

  try {
    const outcome = await unlessAborted(signal, () => handle(handler, message, tools));
    await settleDone(shop, message, { outcome, staged, records });
    return "done";
  } catch (thrown) {
    const failure = asFailure(thrown);
    if (failure.code === "lease_lost") {
      await dropStaged(staged);
      throw failure;
    }
    if (failure.code === "internal")
      shop.log.error({ trace_id: message.traceId, error: failure.cause }, failure.message);
    await settleFailed(shop, message, { thrown: failure, staged, records });
    return failure.code;
  }
}

async function handle(handler: AnyHandler, message: Claimed, tools: Tools): Promise<Outcome<unknown>> {
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
