import { z } from "zod";
import { Tenant } from "./message.ts";

/** What work costs, or may cost. */
export const Spend = z.object({
  cost_usd: z.number().nonnegative(),
  tokens: z.number().int().nonnegative(), // question and answer
  seconds: z.number().nonnegative(), // of the agent
});
export type Spend = z.infer<typeof Spend>;

/** What one call did cost, as far as it is known. What is null counts as what was put aside for it. */
export type Figure = { [Part in keyof Spend]: number | null };

const Estimate = z.strictObject({
  cost_usd: z.number().min(0.000001).max(1_000_000),
  tokens: z.number().int().min(1).max(1_000_000_000),
  seconds: z.number().min(0.001).max(1_000_000),
});

export const Cap = z.strictObject({
  cost_usd: z.number().min(0).max(1_000_000_000).nullable(), // null: no cap
  tokens: z.number().int().min(0).max(1_000_000_000_000).nullable(),
  seconds: z.number().min(0).max(1_000_000_000).nullable(),
});
export type Cap = z.infer<typeof Cap>;

const Caps = z.strictObject({
  day: Cap.nullable(), // of a tenant, by UTC; null: no cap
  month: Cap.nullable(),
  trace: Cap.nullable(), // of each of its requests, with all that follows
});
export type Caps = z.infer<typeof Caps>;

/** `budgets` of `configs/limits.json`. What a key does not say is as in the default. */
export const BudgetPolicy = z.strictObject({
  estimate: Estimate, // put aside before a call whose assignment does not say how much it may take
  default: Caps,
  keys: z.record(Tenant, Caps.partial()),
});
export type BudgetPolicy = z.infer<typeof BudgetPolicy>;
