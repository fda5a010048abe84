import { z } from "zod";

const count = z.number().int().nonnegative();
const Ends = z.object({ good: count, bad: count });

/** Ends of a canary and of its stable, those that count. */
export const BothEnds = z.object({ canary: Ends, stable: Ends });
export type BothEnds = z.infer<typeof BothEnds>;

/** What the sequential test of a canary remembers from one end to the next. `{}` before the first. */
export const CanaryState = z.object({
  seen: BothEnds.prefault({ canary: { good: 0, bad: 0 }, stable: { good: 0, bad: 0 } }), // in blocks that are closed
  open: BothEnds.prefault({ canary: { good: 0, bad: 0 }, stable: { good: 0, bad: 0 } }), // in the block that is not
  log_evidence: z.number().default(0), // natural logarithm of the evidence that the canary is worse
  most: z.number().default(0), // the highest it was
});
export type CanaryState = z.infer<typeof CanaryState>;

/** How a test stands, with what it stands on. Kept with `canary_paused` and shown to people. */
export const CanaryEvidence = z.object({
  verdict: z.enum(["open", "worse", "not_worse"]),
  because: z.string(), // one sentence a person understands
  canary: z.object({ calls: count, success: z.number().nullable() }),
  stable: z.object({ calls: count, success: z.number().nullable() }),
  evidence: z.number(), // that the canary is worse, at its highest; its reciprocal bounds the false alarm rate
  needed: z.number(), // to pause it
  difference: z.object({ low: z.number(), high: z.number() }).nullable(), // of success, canary − stable; null: not looked yet
});
export type CanaryEvidence = z.infer<typeof CanaryEvidence>;
