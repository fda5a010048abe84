import type { Handler, Tools } from "../../bus/handler.ts";
import { publish } from "../../bus/publish.ts";
import { sightOf } from "../../bus/sight.ts";
import type { ApprovalAsk, ApprovalPolicy, ApprovalRule } from "../../contracts/approval.ts";
import type { OrchestratorPolicy } from "../../contracts/choice.ts";
import { Decided, DecideRequest, type Decision } from "../../contracts/decision.ts";
import { asFailure, Failure } from "../../contracts/failure.ts";
import type { Assignment, Message } from "../../contracts/message.ts";
import type { ShadowRequest } from "../../contracts/orchestrator.ts";
import {
  approvalRuleFor,
  asksBefore,
  estimateOf,
  nobodyIsAsked,
  requestShown,
  waitFor,
  workspaceSize,
} from "../../rules/approval.ts";
import { type Asked, decide, refusalOf } from "../../rules/decide.ts";
import { uuidOf } from "../../rules/shadow.ts";
import { type DecisionDraft, decisionBefore, keepDecision } from "../../store/decisions.ts";
import type { Seen } from "../../store/standings.ts";

/**
 * Chooses the agent for a piece of work, and says why.
 *
 * in     DecideRequest: the role wanted, the work, and who failed it before
 * out    whom it chose; the whole decision is kept as `orchestrate_decision`
 * next   one message to the wanted role, assigned to the chosen agent; when the policy wants a person to be asked before,
 *        it waits for that without a lease and goes on through orchestrator.answered
 * fails  model_not_configured: the work needs a model and none is registered; no_candidate (retried): nobody is able now;
 *        the failure of the agent before, when nobody is left to fall back to
 */
export function decideBy(
  policy: () => OrchestratorPolicy,
  approvals: () => ApprovalPolicy = () => nobodyIsAsked,
  refusesAddress: (url: string) => string | null = () => null,
): Handler<DecideRequest, Decided> {
  return {
    role: "orchestrator.decide",
    accepts: DecideRequest,
    answers: Decided,

    async handle(message, tools) {
      const { sql, record } = tools;
      const { role, work } = message.payload;
      const { tenant } = message;
      const [before, seen] = await Promise.all([
        decisionBefore(sql, message.id),
        sightOf(sql, { role, tenant, refusesAddress }),
      ]);
      const decision = before ?? (await keepDecision(sql, draftOf(message, decideNow(message, seen, policy()))));
      record("orchestrate_decision", decision);
      const { chosen, because } = decision;
      const rule = approvalRuleFor(approvals(), message);
      const assignment = assignmentOf(message, { decision, seen, rule });
      const result = { decision_id: message.id, chosen, because };
      if (decision.shadow && rule.ask === "never") await copyTo(decision.shadow, message, tools);
      else if (decision.shadow) record("shadow_refused", { ...decision.shadow, reason: "the work needs approval" });
      if (asksBefore(rule, "execution")) {
        const ask = await askBeforeExecution(message, { decision, assignment, tools });
        return { result, wait: waitFor(ask, { to: role, payload: { work } }, { ...rule, assignment }) };
      }
      record("orchestrate_enqueued", { to: role, ...chosen });
      return { result, next: [{ to: role, payload: { work }, assignment }] };
    },
  };
}

function decideNow(message: Message<DecideRequest>, seen: Seen, policy: OrchestratorPolicy): Decision {
  const asked = askedBy(message);
  const decision = decide(asked, seen, policy);
  if (decision.chosen !== null) return decision;
  const { code, message: said, ...details } = refusalOf(asked, decision);
  throw new Failure(code, said, details);
}

function askedBy({ tenant, intent, idempotencyKey, payload }: Message<DecideRequest>): Asked {
  return { request: payload, tenant, intent, key: idempotencyKey };
}

function draftOf(message: Message<DecideRequest>, decision: Decision): DecisionDraft {
  const { id, traceId, rootId, tenant, intent, payload } = message;
  const { chosen, explored, propensity, weights_hash } = decision;
  return {
    id,
    trace_id: traceId,
    root_id: rootId,
    tenant,
    intent,
    service_role: payload.role,
    ...chosen,
    explored,
    propensity,
    weights_hash,
    fallback_of: payload.fallback?.of ?? null,
    shadow_of: null,
    record: decision,
  };
}

/** What travels with the work: whom it is for, and whether another may be asked when that one fails for good. */
function assignmentOf(
  { id, intent, payload }: Message<DecideRequest>,
  { decision, seen: { agents }, rule }: { decision: Decision; seen: Seen; rule: ApprovalRule },
): Assignment {
  const { chosen, candidates, inputs } = decision;
  const agent = agents.find((one) => one.id === chosen.agent_id && one.version === chosen.agent_version);
  const { ttl_ms = null, max_tokens = null, max_cost_usd = null } = inputs.rule.assignment ?? {};
  const others = candidates.filter(({ exclusion }) => exclusion === null || exclusion === "canary").length - 1;
  return {
    ...chosen,
    model: agent?.reach.kind === "openai" ? agent.reach.model : null,
    budget: { max_cost_usd, max_tokens },
    ttl_ms,
    fallback: {
      of: id,
      left: Math.min(others, payload.fallback?.left ?? inputs.rule.fallbacks),
      failed: payload.fallback?.failed ?? [],
    },
    ...(intent !== "code.buildtest" &&
      asksBefore(rule, "patch") && { approval: { patch: true, expires_s: rule.expires_s } }),
  };
}

async function askBeforeExecution(
  { id, intent, payload: { work } }: Message<DecideRequest>,
  { decision, assignment, tools }: { decision: Decision; assignment: Assignment; tools: Tools },
): Promise<ApprovalAsk> {
  const { chosen, because } = decision;
  const uploaded = work.upload ? (await tools.upload(work.upload)).files : new Map<string, number>();
  return {
    before: "execution",
    intent,
    agent: { ...chosen, model: assignment.model, because, decision_id: id },
    request: requestShown(work),
    workspace: workspaceSize(work, uploaded),
    estimate: estimateOf(decision, assignment.model === null ? 1 : work.max_rounds),
    patch: null,
  };
}

/** Gives a shadow its copy, as a trace of its own: whatever becomes of that, this one does not know. */
async function copyTo(
  shadow: NonNullable<Decision["shadow"]>,
  { id, tenant, intent, traceId, payload }: Message<DecideRequest>,
  { sql, record }: Tools,
): Promise<void> {
  const copy: ShadowRequest = { of: id, role: payload.role, agent: shadow, work: payload.work };
  const request = { to: "orchestrator.shadow", tenant, intent, payload: copy, idempotencyKey: `shadow-of-${id}` };
  const own = { traceId: uuidOf("shadow", traceId, id), traceparent: null, priority: 0 };
  await publish(sql, { ...request, ...own }).catch((error) => {
    record("shadow_refused", { ...shadow, reason: asFailure(error).message });
  });
}
