import { createHash } from "node:crypto";
import { generationOf } from "../../agents/speaker.ts";
import type { Wait } from "../../bus/handler.ts";
import type { Agent } from "../../contracts/agent.ts";
import type { GenerateRequest } from "../../contracts/code.ts";
import { Failure } from "../../contracts/failure.ts";
import type { Message } from "../../contracts/message.ts";
import type { Generation } from "../../contracts/model.ts";
import { AgentAnswer, type AgentAsk, type CallbackAsk, type Outside } from "../../contracts/outside.ts";

/** How long an answer is waited for when neither the request nor the assignment says. */
const laterMs = 3_600_000;

/** Where an agent may answer later, and until when. `token` is told to the agent alone. */
export function callbackFor(
  { id, expiresAt }: Message,
  { outside: { publicUrl, newToken }, now }: { outside: Pick<Outside, "publicUrl" | "newToken">; now: Date },
): NonNullable<AgentAsk["callback"]> {
  const expires = expiresAt ?? new Date(now.getTime() + laterMs);
  return { url: `${publicUrl}/api/callbacks/${id}`, token: newToken(), expires_at: expires.toISOString() };
}

/** The wait of a trace whose agent will answer later: what it then answers comes back to this role. */
export function waitFor(
  { id, idempotencyKey, payload: { work, rounds } }: Message<GenerateRequest>,
  { agent, callback, now }: { agent: Agent; callback: NonNullable<AgentAsk["callback"]>; now: Date },
): Wait {
  const asked: CallbackAsk = {
    message_id: id,
    agent_id: agent.id,
    agent_version: agent.version,
    kind: agent.reach.kind,
  };
  const next = { to: "codegen.generate", payload: { work, rounds }, key: `${idempotencyKey}${laterMark}` };
  return {
    kind: "callback",
    asked,
    secretHash: createHash("sha256").update(callback.token).digest(),
    expiresMs: Math.max(1, Date.parse(callback.expires_at) - now.getTime()),
    next,
    onExpiry: next,
  };
}

/** A role that is visited again in a trace needs a key of its own; what follows has the first visit's. */
const laterMark = "~";

/** The key of the first visit, when this is one after a wait. */
export function keyBefore(key: string): string {
  return key.endsWith(laterMark) ? key.slice(0, -laterMark.length) : key;
}

/** What was answered later. Null: nothing was waited for. Throws `agent_silent` and `agent_answer_invalid`. */
export function saidLater({ answered, unanswered }: GenerateRequest, agent: Agent): Generation | null {
  const name = `${agent.id} ${agent.version}`;
  if (unanswered) throw new Failure("agent_silent", `${name} took the work and did not answer in time`);
  if (!answered) return null;
  const answer = AgentAnswer.safeParse(answered.answer);
  if (!answer.success) throw new Failure("agent_answer_invalid", `${name} answered what is no answer`);
  return generationOf(answer.data, { kind: agent.reach.kind, name });
}
