import { answerWait } from "../bus/waits.ts";
import {
  ApprovalAnswer,
  ApprovalAsk,
  type ApprovalList,
  type ApprovalPolicy,
  type ApprovalState,
  type ApprovalView,
} from "../contracts/approval.ts";
import { Failure } from "../contracts/failure.ts";
import { approvalRuleFor, barredFrom } from "../rules/approval.ts";
import type { Database } from "../store/database.ts";
import { type StatedWait, statedWait, statedWaits } from "../store/waits.ts";

/** Who looks or answers: by which key, as what, and whose approvals it reaches (null: of all tenants). */
export type Approver = { name: string; kinds: string[]; reach: string | null };

export type Approvals = { sql: Database; policy: ApprovalPolicy };

export type ApprovalsWish = {
  reach: string | null;
  tenant: string | null;
  traceId: string | null;
  state: ApprovalState | null;
  before: string | null;
  limit: number;
};

/** Approvals within reach, the latest first. */
export async function listApprovals({ sql, policy }: Approvals, wish: ApprovalsWish): Promise<ApprovalList> {
  const { reach, tenant, limit } = wish;
  if (reach !== null && tenant !== null && tenant !== reach) return { approvals: [], next: null };
  const found = await statedWaits(sql, { ...wish, kind: "approval", tenant: tenant ?? reach, limit: limit + 1 });
  const approvals = found.slice(0, limit).map((wait) => viewOf(wait, policy));
  return { approvals, next: found.length > limit ? (approvals.at(-1)?.id ?? null) : null };
}

/** One approval within reach. Throws `not_found`. */
export async function approvalOf(
  { sql, policy }: Approvals,
  id: string,
  { reach }: Pick<Approver, "reach">,
): Promise<ApprovalView> {
  const wait = await statedWait(sql, { id, kind: "approval", tenant: reach });
  if (!wait) throw new Failure("not_found", `there is no approval ${id}; GET /api/approvals lists them`);
  return viewOf(wait, policy);
}

/**
 * Answers an approval; the fact that tells who did and why is written with it. Throws `not_found`; `forbidden` for
 * somebody whom the policy does not name; `approval_expired` and `conflict` when it is too late for an answer.
 */
export async function answerApproval(
  approvals: Approvals,
  id: string,
  { by, answer }: { by: Approver; answer: ApprovalAnswer },
): Promise<ApprovalView> {
  const approval = await approvalOf(approvals, id, by);
  const barred = barredFrom(approval.may_answer, by);
  if (barred) throw new Failure("forbidden", `${barred} (configs/approvals.json)`);
  mustWait(approval);
  const { decision, reason } = answer;
  const { before, agent } = approval.asked;
  const { agent_id, agent_version } = agent;
  const kind = decision === "approve" ? "approval_given" : "approval_refused";
  const details = { reason, before, agent_id, agent_version };
  const fact = { kind, details };
  const closed = await answerWait(approvals.sql, { id, answer: ApprovalAnswer.parse(answer), by: by.name, fact });
  const after = await approvalOf(approvals, id, by);
  if (!closed) mustWait(after); // somebody, or time, was faster
  return after;
}

function mustWait({ id, state, answered, expires_at }: ApprovalView): void {
  if (state === "waiting") return;
  if (state === "expired") {
    throw new Failure("approval_expired", `the approval ${id} has expired at ${expires_at}; its trace has ended`);
  }
  const said = answered ? `${state} by ${answered.by} at ${answered.at}` : "called off with its trace";
  throw new Failure("conflict", `the approval ${id} was ${said}; it is answered once`, { state, answered });
}

function viewOf(wait: StatedWait, policy: ApprovalPolicy): ApprovalView {
  const { id, tenant, trace_id, state, opened_at, expires_at, answered_at, answered_by } = wait;
  const asked = ApprovalAsk.parse(wait.asked);
  const answer = wait.answer === null ? null : ApprovalAnswer.parse(wait.answer);
  const { kinds, names } = approvalRuleFor(policy, { tenant, intent: asked.intent });
  return {
    id,
    tenant,
    trace_id,
    state,
    asked,
    opened_at: opened_at.toISOString(),
    expires_at: expires_at.toISOString(),
    answered: answer && answered_at && { at: answered_at.toISOString(), by: answered_by ?? "", ...answer },
    may_answer: { kinds, names },
    links: {
      trace: `/api/traces/${trace_id}`,
      decision: `/api/orchestrator/decisions/${asked.agent.decision_id}`,
      artifacts: `/api/artifacts/index?trace_id=${trace_id}`,
      ...(asked.before === "patch" && { patch: `/artifacts/${trace_id}/codegen/diff.patch` }),
    },
  };
}
