import { z } from "zod";
import type { Handler } from "../../bus/handler.ts";
import { Failure } from "../../contracts/failure.ts";
import { ShadowRequest } from "../../contracts/orchestrator.ts";
import { agentOf } from "../../store/agents.ts";
import { decisionBefore, keepDecision } from "../../store/decisions.ts";

/** Whose copy went to whom. */
const Copied = z.object({ of: z.string(), agent_id: z.string(), agent_version: z.string() });

/**
 * Gives a shadow its copy of somebody's work, in a trace of its own.
 *
 * in     ShadowRequest: the work, the shadow, and the decision whose work it is a copy of
 * out    whose copy went to whom; kept as `orchestrate_shadow` and as a decision that is compared when both have ended
 * next   one message to the role, assigned to the shadow
 * fails  not_found: the decision or the shadow is gone
 */
export const shadow: Handler<ShadowRequest, z.infer<typeof Copied>> = {
  role: "orchestrator.shadow",
  accepts: ShadowRequest,
  answers: Copied,

  async handle({ id, traceId, rootId, tenant, intent, payload }, { sql, record }) {
    const { of, role, agent: ref, work } = payload;
    const [decision, agent] = await Promise.all([
      decisionBefore(sql, of),
      agentOf(sql, ref.agent_id, ref.agent_version),
    ]);
    if (!decision || !agent) throw new Failure("not_found", `the decision ${of} or its shadow ${ref.agent_id} is gone`);
    const chosen = { ...ref, canary: true };
    const because = `${ref.agent_id} ${ref.agent_version}: a copy for a shadow; its answer is compared, never returned`;
    await keepDecision(sql, {
      id,
      trace_id: traceId,
      root_id: rootId,
      tenant,
      intent,
      service_role: role,
      ...chosen,
      explored: false,
      propensity: 1,
      weights_hash: decision.weights_hash,
      fallback_of: null,
      shadow_of: of,
      record: { ...decision, chosen, because, propensity: 1, explored: false, shadow: null },
    });
    const result = { of, ...ref };
    record("orchestrate_shadow", result);
    const model = agent.reach.kind === "openai" ? agent.reach.model : null;
    const budget = { max_cost_usd: null, max_tokens: null };
    return { result, next: [{ to: role, payload: { work }, assignment: { ...chosen, model, budget, ttl_ms: null } }] };
  },
};
