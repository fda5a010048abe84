import { createHash, timingSafeEqual } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { answerWait } from "../bus/waits.ts";
import { Failure } from "../contracts/failure.ts";
import { AgentAnswer, type CallbackBody, type CallbackTaken } from "../contracts/outside.ts";
import type { Database } from "../store/database.ts";
import { isInHand, waitOfMessage } from "../store/waits.ts";

/** How soon somebody who was faster than we were should try again. */
const earlyMs = 1000;

/**
 * Takes what an agent answers later: the message that goes on is published in the transaction that closes the wait. The
 * same answer again is answered the same. Throws `not_found`, `callback_early` (we have not yet written that we wait),
 * `unauthorized`, `forbidden` for another trace's, `callback_expired`, and `conflict` for a second answer or a trace that
 * was called off.
 */
export async function takeCallback(
  sql: Database,
  { id, token, body }: { id: string; token: string | null; body: CallbackBody },
): Promise<CallbackTaken> {
  const wait = await waitOfMessage(sql, { messageId: id, kind: "callback" });
  if (!wait) {
    if (!(await isInHand(sql, id))) throw new Failure("not_found", `nothing waits for a callback ${id}`);
    const why = `the work of ${id} is still being handed over; answer again in a second`;
    throw new Failure("callback_early", why, { retry_after_ms: earlyMs });
  }
  mustKnow(token, wait.secretHash);
  const { trace_id, asked } = wait;
  if (body.trace_id !== undefined && body.trace_id !== trace_id) {
    throw new Failure("forbidden", `the callback ${id} is not of the trace ${body.trace_id}`);
  }
  const answer = AgentAnswer.parse(body);
  const by = `agent ${asked.agent_id} ${asked.agent_version}`;
  const fact = { kind: "callback_answered", details: { message_id: id } };
  if (await answerWait(sql, { id: wait.id, answer, by, fact })) return { trace_id, taken: true };
  const after = await waitOfMessage(sql, { messageId: id, kind: "callback" });
  if (after?.answer && isDeepStrictEqual(after.answer, JSON.parse(JSON.stringify(answer))))
    return { trace_id, taken: true };
  if (after?.answer) throw new Failure("conflict", `the callback ${id} was answered before, with something else`);
  if (after?.answered_by === "cancelled")
    throw new Failure("conflict", `the trace of the callback ${id} was called off`);
  throw new Failure("callback_expired", `the callback ${id} has expired at ${wait.expires_at.toISOString()}`);
}

function mustKnow(token: string | null, secretHash: Buffer | null): void {
  const shown = createHash("sha256")
    .update(token ?? "")
    .digest();
  if (token !== null && secretHash && timingSafeEqual(shown, secretHash)) return;
  throw new Failure("unauthorized", "send the callback's token: authorization: Bearer <token>");
}
