import type { Handler } from "../../bus/handler.ts";
import { AnsweredRequest, ApprovalRecord } from "../../contracts/approval.ts";
import { jsonArtifact } from "../../contracts/artifact.ts";
import { Failure } from "../../contracts/failure.ts";
import { releaseArtifacts } from "../../store/artifacts.ts";

/**
 * Goes on with what a person was asked about, or ends it.
 *
 * in     AnsweredRequest: what was asked, what waits for it, and the answer, or that there was none in time
 * out    ApprovalRecord; also as artifact approval/{execution.json, patch.json}
 * next   what waited; an answer that waited ends the trace
 * fails  approval_refused with the reason; approval_expired: nobody answered in time
 */
export const answered: Handler<AnsweredRequest, ApprovalRecord> = {
  role: "orchestrator.answered",
  accepts: AnsweredRequest,
  answers: ApprovalRecord,

  async handle({ traceId, payload }, { sql, keep, record }) {
    const told = recordOf(payload);
    const { before, agent } = told.ask;
    await keep(jsonArtifact("approval", `${before}.json`, "approval.record/1", told));
    if (told.state !== "approved") throw refusalOf(told);

    const { after } = payload;
    if (after === null) throw new Failure("invalid_message", "it was approved, and nothing waits for it");
    if ("answer" in after) {
      await releaseArtifacts(sql, traceId); // again at a second attempt: that changes nothing
      return { result: told, answer: after.answer };
    }
    const { agent_id, agent_version, canary } = agent;
    record("orchestrate_enqueued", { to: after.to, agent_id, agent_version, canary });
    return { result: told, next: [after] };
  },
};

function recordOf({ ask, answered: said, unanswered }: AnsweredRequest): ApprovalRecord {
  if (said) {
    const { decision, reason } = said.answer;
    return { approval_id: said.id, state: decision === "approve" ? "approved" : "refused", by: said.by, reason, ask };
  }
  if (unanswered) return { approval_id: unanswered.id, state: "expired", by: null, reason: "", ask };
  throw new Failure("invalid_message", "it goes on when somebody has answered, or nobody in time; neither is said");
}

const moments = { execution: "before an agent got the work", patch: "before the change was handed out" };

function refusalOf({ approval_id, state, by, reason, ask: { before } }: ApprovalRecord): Failure {
  if (state === "refused") {
    return new Failure("approval_refused", `${by} refused it, ${moments[before]}: ${reason}`, {
      approval_id,
      before,
      by,
      reason,
    });
  }
  return new Failure(
    "approval_expired",
    `nobody approved it in time, ${moments[before]}; send the request again when somebody can look at it`,
    { approval_id, before },
  );
}
