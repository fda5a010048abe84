import type {
  AnsweredRequest,
  ApprovalAsk,
  ApprovalMoment,
  ApprovalOverride,
  ApprovalPatch,
  ApprovalPolicy,
  ApprovalRule,
} from "../contracts/approval.ts";
import type { Decision } from "../contracts/decision.ts";
import type { Assignment } from "../contracts/message.ts";
import type { Work, Workspace } from "../contracts/work.ts";
import { patchOf } from "./edits.ts";
import { priceOf } from "./terms.ts";

/** Whose work it is. */
type Whose = { tenant: string; intent: string };

/** The rule in effect: the default, changed for the intent, then for the tenant, then for both; the later wins. */
export function approvalRuleFor({ default: base, overrides }: ApprovalPolicy, whose: Whose): ApprovalRule {
  const rank = ({ tenant, intent }: ApprovalOverride) => (tenant === undefined ? 0 : intent === undefined ? 1 : 2);
  return overrides
    .filter(({ tenant = whose.tenant, intent = whose.intent }) => tenant === whose.tenant && intent === whose.intent)
    .sort((a, b) => rank(a) - rank(b))
    .reduce<ApprovalRule>(
      (rule, { ask = rule.ask, expires_s = rule.expires_s, kinds = rule.kinds, names = rule.names }) => {
        return { ask, expires_s, kinds, names };
      },
      base,
    );
}

/** Whether a person is asked at this moment. */
export function asksBefore({ ask }: ApprovalRule, moment: ApprovalMoment): boolean {
  return ask === "always" || ask === `before_${moment}`;
}

/** Why somebody may not answer, in words; null: he may. `kinds` is all he stands for. */
export function barredFrom(
  { kinds, names }: Pick<ApprovalRule, "kinds" | "names">,
  who: { kinds: string[]; name: string },
): string | null {
  if (!who.kinds.some((kind) => kinds.some((one) => one === kind))) {
    return `approvals of this work are given by ${kinds.join(" or ")} keys`;
  }
  if (names === null || names.includes(who.name)) return null;
  return `approvals of this work are given by ${names.join(", ")}, not by ${who.name}`;
}

/** Nobody is asked: what holds where no policy is. */
export const nobodyIsAsked: ApprovalPolicy = {
  default: { ask: "never", expires_s: 86_400, kinds: ["operator", "admin"], names: null },
  overrides: [],
};

const shownMost = 2000; // characters of a request

/** The request as it is shown to whoever is asked. */
export function requestShown({ prompt, language, build, test, max_rounds }: Work): ApprovalAsk["request"] {
  return { text: prompt.slice(0, shownMost), cut: prompt.length > shownMost, language, build, test, max_rounds };
}

/** How large the work is as it came. `uploaded`: path to bytes of its upload, beneath its files. */
export function workspaceSize(
  { workspace, patch }: Pick<Work, "workspace" | "patch">,
  uploaded: ReadonlyMap<string, number>,
): ApprovalAsk["workspace"] {
  const sizes = new Map(uploaded);
  for (const [path, text] of Object.entries(workspace)) sizes.set(path, Buffer.byteLength(text));
  const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  return { files: sizes.size, bytes, patch_bytes: Buffer.byteLength(patch ?? "") };
}

/** What the chosen agent is expected to cost: its price for as many calls as it may take. */
export function estimateOf({ chosen, inputs }: Decision, calls: number): ApprovalAsk["estimate"] {
  const agent = inputs.agents.find((one) => one.id === chosen.agent_id && one.version === chosen.agent_version);
  const cost_usd = agent ? priceOf(agent, inputs.rule) * calls : 0;
  return { cost_usd: Number(cost_usd.toFixed(6)), tokens: inputs.rule.tokens_per_call * calls, calls };
}

/** What a change does to each file, in lines. */
export function touchedBy(before: Workspace, after: Workspace): ApprovalPatch["files"] {
  const paths = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return paths.flatMap((path) => {
    const only = (files: Workspace) => Object.fromEntries(Object.entries(files).filter(([name]) => name === path));
    const patch = patchOf(only(before), only(after));
    if (patch === "") return [];
    const lines = patch.slice(patch.indexOf("\n@@") + 1).split("\n");
    const count = (mark: string) => lines.filter((line) => line.startsWith(mark)).length;
    return [{ path, added: count("+"), removed: count("-") }];
  });
}

/** What is waited for, as an outcome says it: the answer goes to orchestrator.answered, and so does its absence. */
export function waitFor(
  ask: ApprovalAsk,
  after: AnsweredRequest["after"],
  { expires_s, ...next }: { expires_s: number; assignment: Assignment | null; key?: string },
) {
  const to = "orchestrator.answered";
  return {
    kind: "approval",
    asked: ask,
    expiresMs: expires_s * 1000,
    next: { to, payload: { ask, after }, ...next },
    onExpiry: { to, payload: { ask, after: null }, ...next },
  };
}
