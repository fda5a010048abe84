import { z } from "zod";
import { AgentChange, AgentId, AgentRef, AgentVersion, Paused } from "./agent.ts";
import { CanaryEvidence } from "./canary.ts";
import { OrchestratorPolicy, RuleChange } from "./choice.ts";
import { Candidate, Decision } from "./decision.ts";
import { IdempotencyKey, Intent, Role, Tenant, TraceId } from "./message.ts";
import { Work } from "./work.ts";

const count = z.number().int().nonnegative();
const share = z.number().min(0).max(1);

/** What became of decisions. What cannot be said is null; a zero was counted. */
export const DecisionNumbers = z.object({
  decisions: count, // in the window
  open: count, // of them, those whose work has not ended, or was not counted yet
  good: count, // ended well
  bad: count, // ended badly, and the agent is to blame
  void: count, // ended badly, and it is not
  success_rate: share.nullable(), // good of good and bad; null: neither
  latency_ms: z.object({ p50: z.number(), p95: z.number() }).nullable(), // from decision to end, of good and bad; null: none
  tokens: z.number().nonnegative().nullable(), // null: nobody said
  cost_usd: z.number().nonnegative().nullable(), // null: not known
  explored_share: share.nullable(), // of the decisions, those the draw made; null: there were none
  canary_share: share.nullable(), // of the decisions, those that chose a canary
  fallbacks: count, // of the decisions, those made because an agent had failed for good
});
export type DecisionNumbers = z.infer<typeof DecisionNumbers>;

/** `GET /api/metrics/orchestrator/summary`. */
export const OrchestratorQuery = z.strictObject({
  window_s: z.coerce.number().int().min(1).max(31_536_000).default(86_400), // how far back
  tenant: Tenant.optional(), // only its decisions
});
export type OrchestratorQuery = z.input<typeof OrchestratorQuery>;

/** How the orchestrator decided in the last `window_s` seconds, and how that ended. Copies for shadows are not among them. */
export const OrchestratorSummary = z.object({
  at: z.iso.datetime(),
  window_s: count,
  total: DecisionNumbers,
  by_intent: z.array(DecisionNumbers.extend({ intent: Intent })),
  by_tenant: z.array(DecisionNumbers.extend({ tenant: z.string() })),
  by_agent: z.array(DecisionNumbers.extend({ agent_id: AgentId, agent_version: AgentVersion })), // most decisions first
  refused: count, // decisions that found nobody: attempts that ended as no_candidate
  canaries: z.array(
    z.object({
      canary: AgentRef,
      stable: AgentRef,
      service_role: Role,
      mode: z.enum(["live", "shadow"]),
      canary_pct: z.number(),
      paused: Paused.nullable(),
      trial: CanaryEvidence.nullable(), // how its test stands; null: there is none
      compared: z.object({ count, same_outcome: count, same_text: count }).nullable(), // of a shadow; null: it is none
      of_canary: DecisionNumbers, // of a shadow: of its copies
      of_stable: DecisionNumbers,
    }),
  ),
});
export type OrchestratorSummary = z.infer<typeof OrchestratorSummary>;

/** A decision, and how the work of the chosen agent ended. */
export const DecisionView = z.object({
  id: z.string(), // of the message of orchestrator.decide
  trace_id: TraceId,
  tenant: z.string(),
  intent: Intent,
  at: z.iso.datetime(),
  decision: Decision,
  fallback_of: z.string().nullable(), // the decision whose agent failed for good
  shadow_of: z.string().nullable(), // the decision this is the copy of, for a shadow
  end: z
    .object({
      at: z.iso.datetime(),
      outcome: z.enum(["good", "bad", "void"]), // void: badly, and the agent is not to blame
      code: z.string().nullable(), // of the failure
      latency_ms: z.number().nonnegative(),
      tokens: z.number().nonnegative().nullable(),
      cost_usd: z.number().nonnegative().nullable(),
    })
    .nullable(), // null: it has not ended, or was not counted yet
});
export type DecisionView = z.infer<typeof DecisionView>;

/** `GET /api/orchestrator/decisions`: of a trace in order, or the latest of the tenant, latest first. */
export const DecisionsQuery = z.strictObject({
  trace_id: TraceId.optional(),
  limit: z.coerce.number().int().min(1).max(500).default(50),
});
export type DecisionsQuery = z.input<typeof DecisionsQuery>;

export const DecisionList = z.object({ decisions: z.array(DecisionView) });
export type DecisionList = z.infer<typeof DecisionList>;

/** What orchestrator.shadow is asked: work for somebody whose answer is compared and never returned. */
export const ShadowRequest = z.object({
  of: z.string(), // the decision this is the copy of
  role: Role,
  agent: AgentRef,
  work: Work,
});
export type ShadowRequest = z.infer<typeof ShadowRequest>;

const Side = z.object({
  outcome: z.enum(["good", "bad", "void"]),
  verdict: z.enum(["pass", "fail"]).nullable(),
  text: z.string().nullable(), // its beginning; null: no answer
  code: z.string().nullable(), // of the failure
  latency_ms: z.number().nonnegative(),
  cost_usd: z.number().nonnegative().nullable(),
});

/** What a shadow would have answered, beside what the caller was: the event `shadow_compared`. */
export const Comparison = z.object({
  decision_id: z.string(), // of the work that was returned
  shadow: AgentRef,
  shadow_trace_id: TraceId, // where its answer is kept, with its artifacts
  same_outcome: z.boolean(),
  same_verdict: z.boolean(),
  same_text: z.boolean(),
  returned: Side,
  kept: Side,
});
export type Comparison = z.infer<typeof Comparison>;

/** `POST /api/orchestrator/decide`: whom would it choose, and why? Nothing is kept and nobody is asked. */
export const DryRunRequest = z.strictObject({
  role: Role.default("executor.execute"),
  intent: Intent,
  language: z.enum(["node", "python", "shell"]).nullable().default(null),
  capabilities: z.array(z.string().min(1).max(64)).max(20).default([]),
  conversation: IdempotencyKey.nullable().default(null),
  key: IdempotencyKey.nullable().default(null), // the idempotency key that the draws hang on; null: one of its own
});
export type DryRunRequest = z.infer<typeof DryRunRequest>;

export const DryRun = z.object({
  key: z.string(), // with the same one, at the same moment, the choice is the same
  would: Decision.nullable(), // null: nobody is able
  refusal: z.object({ code: z.string(), message: z.string(), candidates: z.array(Candidate) }).nullable(), // then it would end with this
});
export type DryRun = z.infer<typeof DryRun>;

/** What would be different about an agent. */
const Changed = AgentChange.pick({
  price: true,
  capacity: true,
  tenants: true,
  enabled: true,
  canary_pct: true,
  mode: true,
})
  .extend({ agent_id: AgentId, agent_version: AgentVersion.optional() }) // not given: all its versions
  .strict();

/** `POST /api/orchestrator/what-if`: other weights, or other agents, over the decisions that were recorded. */
export const WhatIfRequest = z
  .strictObject({
    window_s: z.number().int().min(1).max(31_536_000).default(86_400), // how far back
    limit: z.number().int().min(1).max(20_000).default(2000), // decisions, the latest
    tenant: Tenant.optional(),
    intent: Intent.optional(),
    policy: OrchestratorPolicy.optional(), // this file instead of the one in force then
    rule: RuleChange.optional(), // or: the rule in effect then, changed
    without: z.array(AgentId).max(1000).default([]), // who would not be there
    agents: z.array(Changed).max(1000).default([]), // what would be different about whom
  })
  .refine(({ policy, rule }) => policy === undefined || rule === undefined, {
    path: ["rule"],
    error: "says how a file is changed that `policy` replaces: send one of them",
  });
export type WhatIfRequest = z.infer<typeof WhatIfRequest>;

const Estimate = z.object({
  value: share, // a success rate
  low: share, // 95 % confidence
  high: share,
  effective_calls: z.number().nonnegative(), // how many of the recorded decisions speak for the other choice
});

export const WhatIf = z.object({
  decisions: count, // that were made again
  counted: count, // of them, those whose end says something of the agent
  changed: count, // of them all, those that would have chosen another
  nobody: count, // of them all, those that would have found nobody
  success: z.object({
    recorded: share.nullable(), // of what was chosen; null: nothing has ended
    inverse_propensity: Estimate.nullable(), // of what would have been; null: the record says nothing of it
    doubly_robust: Estimate.nullable(),
  }),
  by_agent: z.array(AgentRef.extend({ chosen: count, would: count })), // most chosen first
  examples: z.array(
    z.object({
      decision_id: z.string(),
      trace_id: TraceId,
      chosen: AgentRef,
      would: AgentRef.nullable(),
      because: z.string(),
    }),
  ), // of those that would have chosen another, the latest
});
export type WhatIf = z.infer<typeof WhatIf>;
