import { z } from "zod";
import { reachBuiltin } from "../../agents/builtin.ts";
import { reachOpenai } from "../../agents/openai.ts";
import type { Handler } from "../../bus/handler.ts";
import { ExecuteRequest } from "../../contracts/code.ts";
import { Failure } from "../../contracts/failure.ts";
import { agentOf } from "../../store/agents.ts";

/** Who was sent the work, and how. */
const Sent = z.object({ agent_id: z.string(), agent_version: z.string(), reach: z.string(), to: z.string() });

/**
 * Hands a piece of work to the agent it was assigned to.
 *
 * in     ExecuteRequest; the assignment travels with the message
 * out    the agent and the role that carries it out
 * next   the builtin's role, or codegen.generate for a model
 * fails  expired: later than the assignment's ttl; agent_failed: no assignment, or its agent is gone or disabled
 */
export const execute: Handler<ExecuteRequest, z.infer<typeof Sent>> = {
  role: "executor.execute",
  accepts: ExecuteRequest,
  answers: Sent,

  async handle({ assignment, createdAt, payload }, { sql, now }) {
    if (!assignment) throw new Failure("agent_failed", "the work was assigned to nobody");
    const ageMs = now().getTime() - createdAt.getTime();
    if (assignment.ttl_ms !== null && ageMs > assignment.ttl_ms) {
      throw new Failure("expired", `the assignment was good for ${assignment.ttl_ms} ms, and ${ageMs} ms have passed`);
    }
    const { agent_id, agent_version } = assignment;
    const agent = await agentOf(sql, agent_id, agent_version);
    if (!agent?.enabled) throw new Failure("agent_failed", `agent ${agent_id} ${agent_version} is gone or disabled`);

    const next = agent.reach === "builtin" ? reachBuiltin(agent, payload.work) : reachOpenai(payload.work);
    return { result: { agent_id, agent_version, reach: agent.reach, to: next.to }, next: [next] };
  },
};
