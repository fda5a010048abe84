import { z } from "zod";
import { AgentRef, Standing } from "./agent.ts";
import { ChoiceRule, Memory } from "./choice.ts";
import { Failed, Intent, Role } from "./message.ts";
import { Work } from "./work.ts";

/** Why an agent could not be chosen, in one word. One agent, one reason: the first that is true. */
export const Exclusion = z.enum([
  "disabled",
  "paused", // laid to rest, by its test or by somebody
  "shadow", // works on copies only
  "intent",
  "capability",
  "language",
  "tenant", // it does not work for this tenant
  "forbidden", // by the policy
  "address", // the outbound policy refuses where it listens
  "tried", // it failed at this work before
  "silent", // not heard from in 10 s
  "circuit", // open
  "price",
  "load",
  "rest", // a canary, and this key is not drawn for it
  "canary", // a stable, and this key is drawn for its canary
]);
export type Exclusion = z.infer<typeof Exclusion>;

const share = z.number().min(0).max(1);

/**
 * One agent that was considered. `score` is the sum of its terms, of the excluded too: what it would have had; `reasons`
 * say it in words. A canary that was drawn has a score of its own, but is chosen by that of the stable it stands for.
 */
export const Candidate = z.object({
  agent_id: z.string(),
  agent_version: z.string(),
  canary: z.boolean(),
  stands_for: AgentRef.nullable(), // the stable whose place a drawn canary takes; null: it stands for itself
  excluded: z.string().nullable(), // why it could not be chosen, in words; null: it could
  exclusion: Exclusion.nullable(), // the same in one word
  score: share,
  terms: z.record(z.string(), z.number()), // each term's share of the score; 'curiosity' is what it could be better than known
  reasons: z.array(z.string()).min(1),
  propensity: share, // the probability with which it was chosen, given all but the draw to explore
});
export type Candidate = z.infer<typeof Candidate>;

/** What orchestrator.decide is asked: the role wanted and the work for it. */
export const DecideRequest = z.object({
  role: Role,
  work: Work,
  fallback: z
    .object({
      of: z.string(), // the decision whose agent failed for good
      left: z.number().int().nonnegative(), // how many more may be asked after this one
      failed: z.array(Failed).min(1), // who failed this work so far, the last one last
    })
    .optional(), // none: the first choice for this work
});
export type DecideRequest = z.infer<typeof DecideRequest>;

/** All that a choice depends on: the pure rule makes the same choice of it again. */
export const DecisionInputs = z.object({
  at: z.iso.datetime(), // of the database
  role: Role,
  tenant: z.string(),
  intent: Intent,
  capabilities: z.array(z.string()), // asked for by name
  language: z.string().nullable(), // asked for; null: any
  sticky_key: z.string(), // decides the canary draw: the same key, the same side
  draw: z.number().min(0).lt(1), // decides whether, and whom, to explore
  tried: z.array(AgentRef), // that failed at this work before
  memory: Memory,
  rule: ChoiceRule, // in effect for this tenant and intent
  agents: z.array(Standing),
});
export type DecisionInputs = z.infer<typeof DecisionInputs>;

/** Whom the pure rule chooses, and why. `chosen` is null when nobody was able. */
export const Choice = z.object({
  recipe: z.string(), // the word of the rule that chose: a change of the rule changes it
  chosen: AgentRef.extend({ canary: z.boolean() }).nullable(),
  because: z.string(), // one sentence a person understands
  explored: z.boolean(), // chosen by the draw, not by its score
  propensity: share, // of the chosen one; 0 when nobody was
  canary_draws: z.record(z.string(), z.number().min(0).lt(100)), // by the stable's id; below its canary's percent: the canary's
  weights_hash: z.string(), // of the rule in effect
  candidates: z.array(Candidate), // best first, the excluded last
});
export type Choice = z.infer<typeof Choice>;

/** What `orchestrate_decision` keeps: enough to explain the choice a year later. */
export const Decision = Choice.extend({
  role: Role,
  chosen: AgentRef.extend({ canary: z.boolean() }),
  propensity: z.number().gt(0).max(1),
  fallback: z
    .object({
      of: z.string(), // the decision before
      failed: AgentRef, // whom it had chosen
      failure: z.object({ code: z.string(), message: z.string() }),
    })
    .nullable(), // null: the first choice for this work
  shadow: AgentRef.nullable(), // who gets a copy of the work; its answer is compared, never returned
  inputs: DecisionInputs,
});
export type Decision = z.infer<typeof Decision>;

/** What orchestrator.decide answers: the decision's name, and what a person wants to know first. */
export const Decided = z.object({ decision_id: z.string(), chosen: Decision.shape.chosen, because: z.string() });
export type Decided = z.infer<typeof Decided>;
