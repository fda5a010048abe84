import { createHash, timingSafeEqual } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { answerWait } from "../bus/waits.ts";
import { Failure } from "../contracts/failure.ts";
import {
  AgentAnswer,
  type AgentProgress,
  type CallbackAnswer,
  type CallbackTaken,
  type CallbackTold,
} from "../contracts/outside.ts";
import { progressLine } from "../rules/pace.ts";
import type { Database } from "../store/database.ts";
import { isInHand, statedWait, tellWaiting, type Wait, waitOfMessage } from "../store/waits.ts";

/** How soon somebody who was faster than we were should try again. */
const earlyMs = 1000;

/** How often progress is told at the most. */
const progressEveryMs = 1000;

type Posted<Body> = { id: string; token: string | null; body: Body };

/**
 * Takes what an agent answers later: the message that goes on is published in the transaction that closes the wait. The
 * same answer again is answered the same. Throws `not_found`, `callback_early` (we have not yet written that we wait),
 * `unauthorized`, `forbidden` for another trace's, `callback_expired`, and `conflict` for a second answer or a trace that
 * was called off.
 */
export async function takeCallback(sql: Database, { id, token, body }: Posted<CallbackAnswer>): Promise<CallbackTaken> {
  const wait = await opened(sql, { id, token, body });
  const { trace_id, asked } = wait;
  const answer = AgentAnswer.parse(body);
  const by = `agent ${asked.agent_id} ${asked.agent_version}`;
  const fact = { kind: "callback_answered", details: { message_id: id } };
  if (await answerWait(sql, { id: wait.id, answer, by, fact })) return { trace_id, taken: true };
  const after = await waitOfMessage(sql, { messageId: id, kind: "callback" });
  if (after?.answer && isDeepStrictEqual(after.answer, JSON.parse(JSON.stringify(answer))))
    return { trace_id, taken: true };
  throw closed(id, after ?? wait);
}

/**
 * Tells how far an agent is that will answer later, as `execute_status` of its trace, at most once a second. The wait
 * goes on. Throws what takeCallback throws; for a callback that was answered, `conflict`.
 */
export async function tellCallback(sql: Database, { id, token, body }: Posted<AgentProgress>): Promise<CallbackTold> {
  const wait = await opened(sql, { id, token, body });
  const { trace_id } = wait;
  const telling = { kind: "execute_status", details: { text: progressLine(body.progress) }, everyMs: progressEveryMs };
  if (await tellWaiting(sql, { id: wait.id, traceId: trace_id, ...telling })) return { trace_id, told: true };
  const after = await statedWait(sql, { id: wait.id, kind: "callback", tenant: null });
  if (after?.state === "waiting") return { trace_id, told: false };
  throw closed(id, after ?? wait);
}

/** The wait of a callback, for who knows its token. */
async function opened(sql: Database, { id, token, body }: Posted<{ trace_id?: string | undefined }>): Promise<Wait> {
  const wait = await waitOfMessage(sql, { messageId: id, kind: "callback" });
  if (!wait) {
    if (!(await isInHand(sql, id))) throw new Failure("not_found", `nothing waits for a callback ${id}`);
    const why = `the work of ${id} is still being handed over; answer again in a second`;
    throw new Failure("callback_early", why, { retry_after_ms: earlyMs });
  }
  mustKnow(token, wait.secretHash);
  if (body.trace_id !== undefined && body.trace_id !== wait.trace_id) {
    throw new Failure("forbidden", `the callback ${id} is not of the trace ${body.trace_id}`);
  }
  return wait;
}

/** Why a wait takes nothing any more. */
function closed(id: string, { answer, answered_by, expires_at }: Wait): Failure {
  if (answer) return new Failure("conflict", `the callback ${id} was answered before, with something else`);
  if (answered_by === "cancelled") return new Failure("conflict", `the trace of the callback ${id} was called off`);
  return new Failure("callback_expired", `the callback ${id} has expired at ${expires_at.toISOString()}`);
}

function mustKnow(token: string | null, secretHash: Buffer | null): void {
  const shown = createHash("sha256")
    .update(token ?? "")
    .digest();
  if (token !== null && secretHash && timingSafeEqual(shown, secretHash)) return;
  throw new Failure("unauthorized", "send the callback's token: authorization: Bearer <token>");
}
