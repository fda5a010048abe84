import { z } from "zod";

const count = z.number().int().nonnegative();
const Ends = z.object({ good: count.default(0), bad: count.default(0) });

/** Ends of a canary and of its stable, those that count. */
export const BothEnds = z.object({ canary: Ends.prefault({}), stable: Ends.prefault({}) });
export type BothEnds = z.infer<typeof BothEnds>;

const Difference = z.object({ low: z.number(), high: z.number() });

/** What the sequential test of a canary remembers from one end to the next. `{}` before the first. */
export const CanaryState = z.object({
  seen: BothEnds.prefault({}), // in blocks that are closed
  open: BothEnds.prefault({}), // in the block that is not
  log_evidence: z.array(z.number()).default([]), // natural logarithms, one for each size of harm it looks for
  most: z.number().default(0), // the highest logarithm of all of them together
  looks: count.default(0), // how often it was asked whether the canary is not worse
  difference: Difference.nullable().default(null), // of success, canary − stable, at the last of these looks
  not_worse: z.boolean().default(false), // one of these looks said so
});
export type CanaryState = z.infer<typeof CanaryState>;

const Side = z.object({ calls: count, success: z.number().nullable() }); // null: no calls

/** How a test stands, with what it stands on. Kept with `canary_paused` and shown to people. */
export const CanaryEvidence = z.object({
  verdict: z.enum(["open", "worse", "not_worse"]),
  because: z.string(), // one sentence a person understands
  canary: Side,
  stable: Side,
  evidence: z.number(), // that the canary is worse, at its highest; would be 1 or less if it were not
  needed: z.number(), // to pause it; its reciprocal bounds the rate of false alarms
  planned_calls: count, // of the canary, until the next look at whether it is not worse
  difference: Difference.nullable(), // of success, canary − stable, at the last look; null: it was too early
});
export type CanaryEvidence = z.infer<typeof CanaryEvidence>;
