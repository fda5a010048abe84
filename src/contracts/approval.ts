import { z } from "zod";
import { AgentRef } from "./agent.ts";
import { TestCounts } from "./code.ts";
import { Answer, Intent, Role, Tenant, TraceId } from "./message.ts";

/** The moments at which a person may be asked: before an agent gets the work, before its change is handed out. */
export const ApprovalMoment = z.enum(["execution", "patch"]);
export type ApprovalMoment = z.infer<typeof ApprovalMoment>;

const fields = {
  ask: z.enum(["never", "before_execution", "before_patch", "always"]), // always: at both moments
  expires_s: z.number().int().min(1).max(518_400), // nobody answered by then: the trace ends; uploads are kept for a week
  kinds: z
    .array(z.enum(["operator", "admin"]))
    .min(1)
    .max(2), // whose keys may answer
  names: z.array(z.string().min(1).max(100)).min(1).max(1000).nullable(), // of those keys; null: any
};

/** Whether a person is asked, how long that is waited for, and who may answer. */
export const ApprovalRule = z.strictObject(fields);
export type ApprovalRule = z.infer<typeof ApprovalRule>;

/** What agents are given to do. A question to the documents is answered by nobody's agent. */
const Approvable = z.enum(["code.buildtest", "code.generate"]);

/** What is different for a tenant, an intent, or both. What is not named stays. */
export const ApprovalOverride = z
  .strictObject({ tenant: Tenant.optional(), intent: Approvable.optional(), ...z.strictObject(fields).partial().shape })
  .refine(({ tenant, intent }) => tenant !== undefined || intent !== undefined, "names a tenant, an intent or both")
  .refine(({ intent, ask }) => intent !== "code.buildtest" || ask !== "before_patch", {
    path: ["ask"],
    message: "code.buildtest makes no patch: ask before_execution, or never",
  });
export type ApprovalOverride = z.infer<typeof ApprovalOverride>;

/** `configs/approvals.json`. Overrides: of an intent, then of a tenant, then of both; the later wins. */
export const ApprovalPolicy = z.strictObject({
  $schema: z.string().optional(),
  default: ApprovalRule,
  overrides: z.array(ApprovalOverride).max(10_000),
});
export type ApprovalPolicy = z.infer<typeof ApprovalPolicy>;

const count = z.number().int().nonnegative();

/** A change that waits to be handed out. */
export const ApprovalPatch = z.object({
  summary: z.string(),
  files: z.array(z.object({ path: z.string(), added: count, removed: count })), // in lines
  tests: TestCounts.nullable(), // null: the output does not say
  rounds: z.number().int().min(1), // that it took
  provider: z.string(),
  replay: z.boolean(),
  tokens: count, // that were used, as far as it was said
});
export type ApprovalPatch = z.infer<typeof ApprovalPatch>;

/** What somebody who is asked gets to see: enough to answer without looking elsewhere. */
export const ApprovalAsk = z.object({
  before: ApprovalMoment,
  intent: Intent,
  agent: AgentRef.extend({
    canary: z.boolean(),
    model: z.string().nullable(),
    because: z.string(), // of all, why this one
    decision_id: z.string(),
  }),
  request: z.object({
    text: z.string(), // the first 2,000 characters
    cut: z.boolean(),
    language: z.string().nullable(),
    build: z.string().nullable(),
    test: z.string().nullable(),
    max_rounds: z.number().int(),
  }),
  workspace: z.object({ files: count, bytes: count, patch_bytes: count }), // as it came
  estimate: z.object({ cost_usd: z.number().nonnegative(), tokens: z.number().nonnegative(), calls: count }), // of what is asked for
  patch: ApprovalPatch.nullable(), // null: nothing was made yet
});
export type ApprovalAsk = z.infer<typeof ApprovalAsk>;

/** `POST /api/approvals/:id`. */
export const ApprovalAnswer = z
  .strictObject({ decision: z.enum(["approve", "refuse"]), reason: z.string().trim().max(2000).default("") })
  .refine(({ decision, reason }) => decision === "approve" || reason !== "", {
    path: ["reason"],
    message: "say why it is refused: whoever asked reads it",
  });
export type ApprovalAnswer = z.infer<typeof ApprovalAnswer>;

/** What orchestrator.answered is asked. `after` is what waited; neither `answered` nor `unanswered`: it was not asked. */
export const AnsweredRequest = z.object({
  ask: ApprovalAsk,
  after: z.union([z.object({ to: Role, payload: z.unknown() }), z.object({ answer: Answer })]).nullable(), // null: nobody answered, so nothing comes of it
  answered: z.object({ id: z.string(), by: z.string(), answer: ApprovalAnswer }).optional(),
  unanswered: z.object({ id: z.string() }).optional(), // in time
});
export type AnsweredRequest = z.infer<typeof AnsweredRequest>;

export const ApprovalState = z.enum(["waiting", "approved", "refused", "expired", "cancelled"]);
export type ApprovalState = z.infer<typeof ApprovalState>;

/** `approval/execution.json`, `approval/patch.json`: what was asked, and what came of it. */
export const ApprovalRecord = z.object({
  approval_id: z.string(),
  state: z.enum(["approved", "refused", "expired"]),
  by: z.string().nullable(), // the name of a key; null: nobody
  reason: z.string(),
  ask: ApprovalAsk,
});
export type ApprovalRecord = z.infer<typeof ApprovalRecord>;

/** `GET /api/approvals/:id`. */
export const ApprovalView = z.object({
  id: z.string(),
  tenant: z.string(),
  trace_id: TraceId,
  state: ApprovalState,
  asked: ApprovalAsk,
  opened_at: z.iso.datetime(),
  expires_at: z.iso.datetime(),
  answered: z
    .object({ at: z.iso.datetime(), by: z.string(), decision: z.enum(["approve", "refuse"]), reason: z.string() })
    .nullable(), // null: by nobody
  may_answer: z.object({ kinds: fields.kinds, names: fields.names }), // as the policy is now
  links: z.record(z.string(), z.string()), // to the trace, the decision, the files and, of a change, its patch
});
export type ApprovalView = z.infer<typeof ApprovalView>;

const Id = z.string().regex(/^\d{1,18}$/, "is the id of an approval: digits");

export const ApprovalParams = z.object({ id: Id });

/** `GET /api/approvals`: the latest first. `before` is the `next` of the page before. */
export const ApprovalsQuery = z.strictObject({
  state: ApprovalState.optional(),
  tenant: Tenant.optional(),
  trace_id: TraceId.optional(),
  before: Id.optional(),
  limit: z.coerce.number().int().min(1).max(500).default(50),
});
export type ApprovalsQuery = z.input<typeof ApprovalsQuery>;

export const ApprovalList = z.object({
  approvals: z.array(ApprovalView),
  next: z.string().nullable(), // the `before` of the next page; null: this is the last
});
export type ApprovalList = z.infer<typeof ApprovalList>;
