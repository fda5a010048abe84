import { z } from "zod";
import { reachBuiltin } from "../../agents/builtin.ts";
import { reachWriter } from "../../agents/writer.ts";
import type { Handler, Next } from "../../bus/handler.ts";
import type { Reach } from "../../contracts/agent.ts";
import { ExecuteRequest } from "../../contracts/code.ts";
import { Failure } from "../../contracts/failure.ts";
import { Assignment, type Message } from "../../contracts/message.ts";
import type { Work } from "../../contracts/work.ts";
import { fallbackFor } from "../../rules/fallback.ts";
import { agentOf } from "../../store/agents.ts";

/** Who was sent the work, and how. */
const Sent = z.object({ agent_id: z.string(), agent_version: z.string(), reach: z.string(), to: z.string() });

/**
 * Hands a piece of work to the agent it was assigned to.
 *
 * in     ExecuteRequest; the assignment travels with the message
 * out    the agent and the role that carries it out
 * next   the builtin's role, or codegen.generate for a model
 * fails  invalid_message: no assignment, or one without agent, budget or ttl; expired: later than its ttl; agent_failed:
 *        its agent is gone or disabled
 */
export const execute: Handler<ExecuteRequest, z.infer<typeof Sent>> = {
  role: "executor.execute",
  accepts: ExecuteRequest,
  answers: Sent,
  onDead: fallbackFor,

  async handle(message, { sql, now, record }) {
    const { agent_id, agent_version, ttl_ms } = assignmentOf(message);
    const ageMs = now().getTime() - message.createdAt.getTime();
    if (ttl_ms !== null && ageMs > ttl_ms) {
      throw new Failure("expired", `the assignment was good for ${ttl_ms} ms, and ${ageMs} ms have passed`);
    }
    const agent = await agentOf(sql, agent_id, agent_version);
    if (!agent?.enabled) throw new Failure("agent_failed", `agent ${agent_id} ${agent_version} is gone or disabled`);

    const { work } = message.payload;
    const next = { ...wayTo(agent.reach, work), ...lifeOf(message, ttl_ms === null ? null : ttl_ms - ageMs, now()) };
    const sent = { agent_id, agent_version, reach: agent.reach.kind, to: next.to };
    // With the settlement, not before it: it costs nothing, and there is nothing slow here to tell of.
    record("execute_status", { text: `${agent_id} ${agent_version} has the work, by ${sent.reach}`, ...sent });
    return { result: sent, next: [next] };
  },
};

/** What follows ends with its assignment, and not later than the request; null: the assignment has no end. */
function lifeOf({ expiresAt }: Message, leftMs: number | null, now: Date): Pick<Next, "ttlMs"> {
  if (leftMs === null) return {};
  const requestMs = expiresAt ? expiresAt.getTime() - now.getTime() : Number.POSITIVE_INFINITY;
  return { ttlMs: Math.max(1, Math.min(leftMs, requestMs)) };
}

function wayTo(reach: Reach, work: Work): Next {
  if (reach.kind === "builtin") return reachBuiltin(reach, work);
  return reachWriter(work);
}

/** Nothing is spent without a word on how much: an assignment that does not say it whole is refused. */
function assignmentOf({ assignment }: Message): Assignment {
  if (assignment === null) throw new Failure("invalid_message", "the work was assigned to nobody");
  const parsed = Assignment.safeParse(assignment);
  if (parsed.success) return parsed.data;
  throw new Failure("invalid_message", `the assignment is not whole: ${z.prettifyError(parsed.error)}`);
}
