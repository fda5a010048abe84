import { ApprovalsQuery, type ApprovalView } from "../../contracts/approval.ts";
import { Failure } from "../../contracts/failure.ts";
import { approvalRow, approvalText } from "../approval.ts";
import { json, note, paint, say, table } from "../output.ts";
import { openSystem } from "../system.ts";

type Listing = { json?: boolean; state?: string; tenant?: string; before?: string; limit?: string };

/** `dagent approvals list`: what waits for a person; `--state all`: what did, too. */
export async function listApprovals({ json: asJson, state = "waiting", ...rest }: Listing): Promise<void> {
  const parsed = ApprovalsQuery.safeParse({ ...rest, ...(state !== "all" && { state }) });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new Failure("invalid_request", `--${issue?.path.join(".")}: ${issue?.message}`);
  }
  const list = await (await openSystem()).approvals(parsed.data);
  if (asJson) return json(list);
  if (list.approvals.length === 0) return say(state === "waiting" ? "nothing waits for approval" : "there are none");
  const heads = ["approval", "state", "tenant", "before", "intent", "agent", "cost", "asked for"];
  say(table([heads.map((head) => paint("dim", head)), ...list.approvals.map((one) => approvalRow(one, Date.now()))]));
  if (list.next) note(paint("dim", `there are more: --before ${list.next}`));
}

/** `dagent approvals show ID`: all that somebody who answers needs to know. */
export async function showApproval(id: string, options: { json?: boolean }): Promise<void> {
  const client = await openSystem();
  const approval = await client.approval(id);
  if (options.json) return json(approval);
  say(approvalText(approval, Date.now()));
}

/** `dagent approvals approve ID` and `refuse ID`. Throws `conflict` when it was answered before. */
export async function answerApproval(
  id: string,
  { decision, reason, json: asJson }: { decision: "approve" | "refuse"; reason: string; json?: boolean },
): Promise<void> {
  const approval: ApprovalView = await (await openSystem()).answerApproval(id, { decision, reason });
  if (asJson) return json(approval);
  say(`approval ${id} is ${approval.state}; what comes of it: dagent trace ${approval.trace_id}`);
}
