import type { ApprovalView } from "../contracts/approval.ts";
import type { EventView } from "../contracts/http.ts";
import { duration, paint } from "./output.ts";

/** What of a trace's events tells of an approval, in words; null: this one does not. */
export function approvalWords({ kind, details }: EventView): string | null {
  const id = String(details.wait_id);
  const by = String(details.by ?? "somebody");
  const reason = details.reason ? `: ${String(details.reason)}` : "";
  if (kind === "approval_asked") {
    return `waiting for approval ${id}, ${momentOf(details.asked)}, until ${String(details.expires_at)}; an operator answers: dagent approvals show ${id}`;
  }
  if (kind === "approval_given") return `approval ${id} was given by ${by}${reason}`;
  if (kind === "approval_refused") return `approval ${id} was refused by ${by}${reason}`;
  return kind === "approval_expired" ? `nobody gave approval ${id} in time` : null;
}

/** When somebody is asked, in words. */
export function momentOf(asked: unknown): string {
  const before = typeof asked === "object" && asked !== null && "before" in asked ? asked.before : null;
  return before === "patch" ? "before the change is handed out" : "before an agent gets the work";
}

const colours = { waiting: "yellow", approved: "green", refused: "red", expired: "red", cancelled: "dim" } as const;

/** An approval as a row: what tells it from the others. */
export function approvalRow(approval: ApprovalView, now: number): string[] {
  const { id, tenant, state, asked } = approval;
  return [
    id,
    paint(colours[state], state === "waiting" ? `waiting, ${leftOf(approval, now)}` : state),
    tenant,
    asked.before,
    asked.intent,
    `${asked.agent.agent_id} ${asked.agent.agent_version}`,
    usd(asked.estimate.cost_usd),
    wishOf(approval).replace(/\s+/g, " ").slice(0, 60),
  ];
}

/** An approval in full. */
export function approvalText(approval: ApprovalView, now: number): string {
  const { id, tenant, state, asked, answered, may_answer, links, trace_id } = approval;
  const { agent, request, workspace, estimate, patch } = asked;
  const left = state === "waiting" ? `, ${leftOf(approval, now)}` : "";
  const names = may_answer.names ? ` named ${may_answer.names.join(", ")}` : "";
  return [
    `${paint("bold", `approval ${id}`)}  ${paint(colours[state], state)}${left}, ${momentOf(asked)}`,
    ...(answered ? [line("answer", `${state} by ${answered.by} at ${answered.at}${reasonOf(answered.reason)}`)] : []),
    line("asked by", `tenant ${tenant}, at ${approval.opened_at}, ${asked.intent}`),
    line("request", `${wishOf(approval)}${request.cut ? paint("dim", " … (there is more)") : ""}`),
    ...[request.build && `build: ${request.build}`, request.test && `test: ${request.test}`]
      .filter((text) => text !== null)
      .map((text) => line("", text)),
    line(
      "files",
      `${count(workspace.files, "file")}, ${count(workspace.bytes, "byte")}${workspace.patch_bytes > 0 ? `, and a patch of ${workspace.patch_bytes}` : ""}`,
    ),
    line(
      "agent",
      `${agent.agent_id} ${agent.agent_version}${agent.canary ? " (a canary)" : ""}${agent.model ? `, model ${agent.model}` : ""}`,
    ),
    line("", paint("dim", agent.because)),
    line(
      patch ? "spent" : "estimate",
      `${usd(estimate.cost_usd)}, ${count(estimate.tokens, "token")}, ${count(estimate.calls, "call")}${patch ? "" : " at most"}`,
    ),
    ...(patch ? changeLines(patch) : []),
    line("answers", `${may_answer.kinds.join(" or ")} keys${names}`),
    line("more", `dagent trace ${trace_id}; dagent explain ${trace_id}; ${links.patch ?? links.artifacts}`),
    ...(state === "waiting"
      ? ["", `dagent approvals approve ${id}`, `dagent approvals refuse ${id} --reason "…"`]
      : []),
  ].join("\n");
}

function changeLines(patch: NonNullable<ApprovalView["asked"]["patch"]>): string[] {
  const { summary, files, tests, rounds, provider, replay } = patch;
  const counted = tests ? `, ${count(tests.passed, "test")} passed` : "";
  return [
    line("change", `${summary}`),
    line(
      "",
      `green after ${count(rounds, "round")}${counted}; written by ${provider}${replay ? " (a replay of a recording)" : ""}`,
    ),
    ...files.map(({ path, added, removed }) =>
      line("", `${paint("green", `+${added}`)} ${paint("red", `-${removed}`)}  ${path}`),
    ),
  ];
}

function line(name: string, text: string): string {
  return `  ${paint("bold", name.padEnd(9))} ${text.replaceAll("\n", `\n${" ".repeat(12)}`)}`;
}

/** What was asked for, in its own words; work without words is a project to build and test. */
function wishOf({ asked: { request } }: ApprovalView): string {
  return request.text.trim() || "build and test what was sent";
}

function leftOf({ expires_at }: ApprovalView, now: number): string {
  return `${duration(Math.max(0, Date.parse(expires_at) - now))} left`;
}

function reasonOf(reason: string): string {
  return reason ? `: ${reason}` : "";
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

function usd(cost: number): string {
  return cost === 0 ? "no cost known" : `${cost} USD`;
}
