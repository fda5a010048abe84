import type { Handler } from "../../bus/handler.ts";
import type { Standing } from "../../contracts/agent.ts";
import { type Candidate, DecideRequest, Decision } from "../../contracts/decision.ts";
import { Failure } from "../../contracts/failure.ts";
import type { Message } from "../../contracts/message.ts";
import { bucketOf } from "../../rules/canary.ts";
import { score } from "../../rules/score.ts";
import { type DecisionDraft, decisionBefore, keepDecision } from "../../store/decisions.ts";
import { standings } from "../../store/standings.ts";

/**
 * Chooses the agent for a piece of work, and says why.
 *
 * in     DecideRequest: the role wanted and the work
 * out    Decision: every candidate with score, terms and reasons, best first; kept as `orchestrate_decision`
 * next   one message to the wanted role, assigned to the chosen agent
 * fails  model_not_configured: the work needs a model and none is registered; no_candidate (retried): nobody is able now
 */
export const decide: Handler<DecideRequest, Decision> = {
  role: "orchestrator.decide",
  accepts: DecideRequest,
  answers: Decision,

  async handle(message, { sql, record }) {
    const { role, work } = message.payload;
    const [before, agents] = await Promise.all([decisionBefore(sql, message.id), standings(sql, role)]);
    const decision = before ?? (await keepDecision(sql, draftOf(message, chooseFrom(agents, message))));
    record("orchestrate_decision", decision);
    const { chosen } = decision;
    const agent = agents.find(({ id, version }) => id === chosen.agent_id && version === chosen.agent_version);
    const assignment = {
      ...chosen,
      model: agent?.reach.kind === "openai" ? agent.reach.model : null,
      budget: { max_cost_usd: null, max_tokens: null },
      ttl_ms: null,
    };
    record("orchestrate_enqueued", { to: role, ...chosen });
    return { result: decision, next: [{ to: role, payload: { work }, assignment }] };
  },
};

function chooseFrom(agents: Standing[], { intent, tenant, idempotencyKey, payload }: Message<DecideRequest>): Decision {
  const bucket = bucketOf(`${tenant}/${idempotencyKey}`);
  const candidates = score(
    agents.map((agent) => seenBy(tenant, agent)),
    { tenant, intent, bucket },
  );
  const [best] = candidates;
  if (!best || best.excluded !== null) {
    if (intent === "code.generate" && !agents.some(({ intents }) => intents.includes(intent))) {
      throw new Failure(
        "model_not_configured",
        "code.generate needs a model: set MODEL_BASE_URL and MODEL_NAME, or MODEL_CASSETTE; to only build and test files, ask with intent code.buildtest",
      );
    }
    throw new Failure("no_candidate", `nobody can take ${payload.role} for ${intent} now`, { candidates });
  }
  return {
    role: payload.role,
    chosen: { agent_id: best.agent_id, agent_version: best.agent_version, canary: best.canary },
    bucket,
    candidates,
    because: sentence(best, candidates),
  };
}

/** An agent as a decision for this tenant may tell of it: without the names of other tenants. */
function seenBy(tenant: string, agent: Standing): Standing {
  if (agent.tenants.length === 0) return agent;
  return { ...agent, tenants: [agent.tenants.includes(tenant) ? tenant : "-"] };
}

function draftOf(message: Message<DecideRequest>, decision: Decision): DecisionDraft {
  const { id, traceId, tenant, intent, payload } = message;
  return {
    id,
    trace_id: traceId,
    tenant,
    intent,
    service_role: payload.role,
    ...decision.chosen,
    explored: false,
    propensity: 1,
    weights_hash: "fixed",
    fallback_of: null,
    shadow_of: null,
    record: decision,
  };
}

function sentence(best: Candidate, candidates: Candidate[]): string {
  const able = candidates.filter(({ excluded }) => excluded === null);
  const name = `${best.agent_id} ${best.agent_version}`;
  if (able.length === 1) return `${name}: the only able one of ${candidates.length} considered`;
  if (best.canary) return `${name}: drawn as a canary`;
  return `${name}: best score ${best.score.toFixed(2)} of ${able.length} able agents`;
}
