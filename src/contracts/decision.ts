import { z } from "zod";
import { Role } from "./message.ts";
import { Work } from "./work.ts";

/** One agent that was considered. `score` is the sum of its terms, 0 when it was excluded; `reasons` say it in words. */
export const Candidate = z.object({
  agent_id: z.string(),
  agent_version: z.string(),
  canary: z.boolean(),
  excluded: z.string().nullable(), // why it could not be chosen; null: it could
  score: z.number().min(0).max(1),
  terms: z.record(z.string(), z.number()), // each term's share of the score
  reasons: z.array(z.string()).min(1),
});
export type Candidate = z.infer<typeof Candidate>;

/** What orchestrator.decide is asked: the role wanted and the work for it. */
export const DecideRequest = z.object({ role: Role, work: Work });
export type DecideRequest = z.infer<typeof DecideRequest>;

/** What it answers, and what `orchestrate_decision` keeps: enough to explain the choice a year later. */
export const Decision = z.object({
  role: Role,
  chosen: z.object({ agent_id: z.string(), agent_version: z.string(), canary: z.boolean() }),
  bucket: z.number().int().min(0).max(99), // the canary draw of this key
  candidates: z.array(Candidate), // best first, the excluded last
  because: z.string(), // one sentence a person understands
});
export type Decision = z.infer<typeof Decision>;
