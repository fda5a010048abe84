import { createHmac } from "node:crypto";
import { z } from "zod";
import type { Reach } from "../contracts/agent.ts";
import { asFailure, Failure } from "../contracts/failure.ts";
import { AgentAnswer, type AgentAsk, type Outside, Usage } from "../contracts/outside.ts";
import { answerMost, reasonOf } from "./door.ts";

type HttpReach = Extract<Reach, { kind: "http" }>;

/**
 * Asks an agent by one signed POST. Null: it has taken the work (202) and will answer to the callback.
 *
 * The signature is `v1=` and the HMAC-SHA256, in hex, of `<timestamp>.<body>` under the agent's secret; `timestamp` is
 * that of the header, in seconds.
 *
 * Throws `agent_unreachable` (no answer, in time or at all, 5xx), `agent_busy` (429, with what Retry-After asked for),
 * `agent_refused` (any other 4xx, a redirect) and `agent_answer_invalid` (HTML, not JSON, not its shape, too long).
 */
export async function askHttp(
  { url, secret }: HttpReach,
  ask: AgentAsk,
  { outside, signal, now }: { outside: Outside; signal: AbortSignal; now: Date },
): Promise<AgentAnswer | null> {
  const body = JSON.stringify(ask);
  const timestamp = String(Math.floor(now.getTime() / 1000));
  const headers = {
    "content-type": "application/json",
    accept: "application/json",
    "idempotency-key": ask.message_id,
    "dagent-timestamp": timestamp,
    ...(secret && { "dagent-signature": signatureOf(outside.secretOf(secret), timestamp, body) }),
  };
  const late = AbortSignal.timeout(ask.timeout_ms);
  try {
    const limit = AbortSignal.any([signal, late]);
    const answer = await outside.fetch(url, { method: "POST", headers, body, redirect: "manual", signal: limit });
    if (answer.status === 202 && ask.callback) {
      await answer.body?.cancel();
      return null;
    }
    const text = await textOf(answer, answerMost);
    if (!answer.ok) throw refusalOf(answer, text);
    return answerIn(text, answer.headers.get("content-type") ?? "");
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    signal.throwIfAborted();
    if (late.aborted) throw new Failure("agent_unreachable", `no answer within ${ask.timeout_ms} ms`, { cause });
    throw new Failure("agent_unreachable", `the agent did not answer: ${reasonOf(cause)}`, { cause });
  }
}

/** `v1=` and the HMAC-SHA256 of `<timestamp>.<body>`, in hex. */
export function signatureOf(secret: string, timestamp: string, body: string): string {
  return `v1=${createHmac("sha256", secret).update(`${timestamp}.${body}`).digest("hex")}`;
}

/** An answer from its text. Throws `agent_answer_invalid`, with the `usage` that one of another shape still says. */
export function answerIn(text: string, type: string): AgentAnswer {
  if (!/^application\/([\w.-]+\+)?json\b/i.test(type)) {
    throw new Failure("agent_answer_invalid", `the agent answered ${type || "without a content type"}, not JSON`);
  }
  const said = jsonIn(text);
  const answer = AgentAnswer.safeParse(said);
  if (answer.success) return answer.data;
  const usage = Charged.safeParse(said).data;
  throw invalid(z.prettifyError(answer.error), { cause: answer.error, ...usage });
}

/** Of an answer that cannot be used: what it did take all the same. */
const Charged = z.object({ usage: Usage });

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid(asFailure(cause).message, { cause });
  }
}

function invalid(why: string, details: { cause: unknown; usage?: Usage }): Failure {
  return new Failure("agent_answer_invalid", `the agent's answer is not of the shape agent.answer: ${why}`, details);
}

function refusalOf({ status, headers }: Response, text: string): Failure {
  const said = text.slice(0, 300);
  if (status === 429) {
    const asked = Number(headers.get("retry-after"));
    const wait = Number.isFinite(asked) && asked > 0 ? { retry_after_ms: Math.round(asked * 1000) } : {};
    return new Failure("agent_busy", "the agent is busy (429)", wait);
  }
  if (status >= 500) return new Failure("agent_unreachable", `the agent failed (${status}): ${said}`, { status });
  return new Failure("agent_refused", `the agent refused the request (${status}): ${said}`, { status });
}

/** A body as text. Throws `agent_answer_invalid` when it is longer than `most` bytes. */
async function textOf(answer: Response, most: number): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of answer.body ?? []) {
    bytes += piece.length;
    if (bytes > most) throw new Failure("agent_answer_invalid", `the agent's answer is longer than ${most} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}
