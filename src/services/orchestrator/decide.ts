import type { Handler, Outcome, Tools } from "../../bus/handler.ts";
import type { Standing } from "../../contracts/agent.ts";
import type { OrchestratorPolicy } from "../../contracts/choice.ts";
import { DecideRequest, Decision, type DecisionInputs } from "../../contracts/decision.ts";
import { Failure } from "../../contracts/failure.ts";
import type { Message } from "../../contracts/message.ts";
import { stickyKeyOf } from "../../rules/canary.ts";
import { choose } from "../../rules/choose.ts";
import { drawOf } from "../../rules/draw.ts";
import { ruleFor } from "../../rules/rule.ts";
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
export function decideBy(policy: () => OrchestratorPolicy): Handler<DecideRequest, Decision> {
  return {
    role: "orchestrator.decide",
    accepts: DecideRequest,
    answers: Decision,
    handle: (message, tools) => decide(message, { ...tools, policy: policy() }),
  };
}

type Deciding = Pick<Tools, "sql" | "record" | "now"> & { policy: OrchestratorPolicy };

async function decide(
  message: Message<DecideRequest>,
  { sql, record, now, policy }: Deciding,
): Promise<Outcome<Decision>> {
  const { role, work } = message.payload;
  const [before, agents] = await Promise.all([decisionBefore(sql, message.id), standings(sql, role)]);
  const decision =
    before ?? (await keepDecision(sql, draftOf(message, chooseFrom(agents, message, { policy, now: now() }))));
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
}

type Known = Awaited<ReturnType<typeof standings>>[number];

function chooseFrom(
  agents: Known[],
  { intent, tenant, idempotencyKey, payload }: Message<DecideRequest>,
  { policy, now }: { policy: OrchestratorPolicy; now: Date },
): Decision {
  const inputs: DecisionInputs = {
    at: now.toISOString(),
    role: payload.role,
    tenant,
    intent,
    capabilities: [],
    language: payload.work.language,
    sticky_key: stickyKeyOf(policy.canary, { tenant, conversation: null, key: idempotencyKey }),
    draw: drawOf("explore", tenant, idempotencyKey),
    tried: [],
    half_life_s: policy.memory.half_life_s,
    rule: ruleFor(policy, { tenant, intent }),
    agents: agents.map((agent) => seenBy(tenant, agent)),
  };
  const choice = choose(inputs);
  if (choice.chosen === null) {
    if (intent === "code.generate" && !agents.some(({ intents }) => intents.includes(intent))) {
      throw new Failure(
        "model_not_configured",
        "code.generate needs a model: set MODEL_BASE_URL and MODEL_NAME, or MODEL_CASSETTE; to only build and test files, ask with intent code.buildtest",
      );
    }
    const { candidates } = choice;
    throw new Failure("no_candidate", `nobody can take ${payload.role} for ${intent} now`, { candidates });
  }
  return { ...choice, chosen: choice.chosen, role: payload.role, fallback: null, inputs };
}

/** An agent as a decision for this tenant may tell of it: without its address and the names of other tenants. */
function seenBy(tenant: string, { reach, origin, ...agent }: Known): Standing {
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
    explored: decision.explored,
    propensity: decision.propensity,
    weights_hash: decision.weights_hash,
    fallback_of: null,
    shadow_of: null,
    record: decision,
  };
}
