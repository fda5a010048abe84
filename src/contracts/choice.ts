import { z } from "zod";
import { AgentId } from "./agent.ts";
import { Intent, Tenant } from "./message.ts";

const weight = z.number().min(0).max(1000);
const parts = {
  success: weight, // how often its work ends well
  latency: weight, // from decision to end
  load: weight, // in hand against capacity
  price: weight, // what a call is expected to cost
  circuit: weight, // closed, or half open and on trial
  fit: weight, // made for what was asked, or for anything
  affinity: weight, // preferred by the policy, or there for this tenant alone
};

/** What a score is made of. Only their proportion counts: a score is 0..1 whatever they sum to. */
export const Weights = z
  .strictObject(parts)
  .refine((weights) => Object.values(weights).some((share) => share > 0), "need one that is above 0");
export type Weights = z.infer<typeof Weights>;

const exploration = {
  share: z.number().min(0).max(0.5), // of decisions, those a draw takes away from the best; 0: off
  optimism: z.number().min(0).max(5), // standard deviations by which what is little known is trusted beforehand
};

/** What one assignment may take, whoever is chosen. What is not said or null has no end. */
const AssignmentLimits = z.strictObject({
  ttl_ms: z.number().int().min(1).max(31_536_000_000).nullable().default(null), // from then on nobody's answer counts
  max_tokens: z.number().int().positive().nullable().default(null), // of all its rounds
  max_cost_usd: z.number().nonnegative().max(1_000_000).nullable().default(null), // the same; needs the price of whoever answers
});

const fields = {
  latency_half_ms: z.number().positive().max(86_400_000), // an agent this slow gets half of the latency's weight
  price_half_usd: z.number().positive().max(1_000_000), // one this dear gets half of the price's weight
  tokens_per_call: z.number().nonnegative().max(10_000_000), // expected, so that prices can be compared
  max_usd_per_call: z.number().nonnegative().max(1_000_000).nullable(), // a dearer one is excluded; null: any price
  max_load: z.number().positive().max(4).nullable(), // so many times its capacity in hand excludes; null: work waits
  prefer: z.array(AgentId).max(100),
  forbid: z.array(AgentId).max(100),
  fallbacks: z.number().int().min(0).max(10), // other agents that are tried when the chosen one failed for good
  assignment: AssignmentLimits.optional(), // in an override: as a whole
};

/** How a choice is made. */
export const ChoiceRule = z.strictObject({ weights: Weights, exploration: z.strictObject(exploration), ...fields });
export type ChoiceRule = z.infer<typeof ChoiceRule>;

/** What is different of a rule. What is not named stays, each weight too. */
export const RuleChange = z.strictObject({
  weights: z.strictObject(parts).partial().optional(),
  exploration: z.strictObject(exploration).partial().optional(),
  ...z.strictObject(fields).partial().shape,
});
export type RuleChange = z.infer<typeof RuleChange>;

/** What is different for a tenant, an intent, or both. What is not named stays, each weight too. */
export const ChoiceOverride = z
  .strictObject({ tenant: Tenant.optional(), intent: Intent.optional(), ...RuleChange.shape })
  .refine(({ tenant, intent }) => tenant !== undefined || intent !== undefined, "names a tenant, an intent or both");
export type ChoiceOverride = z.infer<typeof ChoiceOverride>;

/**
 * How agents are remembered. Both fade what is known, also of an agent that is not chosen: it becomes less sure, hence
 * curious, and one that has recovered is met anew (discounted UCB, Garivier & Moulines 2011).
 */
export const Memory = z.strictObject({
  half_life_s: z.number().positive().max(31_536_000), // after so long what is known weighs half
  half_life_calls: z.number().min(1).max(1_000_000), // and after so many calls of the intent, of any agent
});
export type Memory = z.infer<typeof Memory>;

/** How canaries are drawn, tested and promoted. */
export const CanaryPlan = z.strictObject({
  sticky: z.enum(["request", "conversation", "tenant"]), // what stays on one side; without a conversation: the request
  false_alarm: z.number().min(0.0001).max(0.5), // how often, at most, a canary as good as its stable is paused
  planned_calls: z.number().int().min(10).max(100_000), // of the canary, before it may be called not worse
  margin: z.number().min(0.001).max(0.5), // a success rate lower by less than this is not worse
  promote: z.enum(["by_hand", "by_itself"]),
});
export type CanaryPlan = z.infer<typeof CanaryPlan>;

/** `configs/orchestrator.json`. Overrides: of an intent, then of a tenant, then of both; the later wins. */
export const OrchestratorPolicy = z.strictObject({
  $schema: z.string().optional(),
  memory: Memory,
  canary: CanaryPlan,
  default: ChoiceRule,
  overrides: z.array(ChoiceOverride).max(10_000),
});
export type OrchestratorPolicy = z.infer<typeof OrchestratorPolicy>;
