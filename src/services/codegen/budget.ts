import { Failure } from "../../contracts/failure.ts";
import type { Assignment } from "../../contracts/message.ts";
import type { Price } from "../../contracts/policy.ts";

/** What was used of an assignment's budget, over all rounds; `costUsd` null: nobody knows. */
export type Used = { tokens: number; costUsd: number | null };

/**
 * How many tokens the next answer may have; null when nobody set a cap. Of a cap in money, what is left must pay for them
 * at the price of the model. Throws `budget_spent` when none is left, and for a cap in money that could not be kept because
 * no price is known: one that is not kept is none.
 */
export function tokensLeft(assignment: Assignment | null, used: Used, price: Price | null): number | null {
  const { max_tokens = null, max_cost_usd = null } = assignment?.budget ?? {};
  if (max_tokens !== null && used.tokens >= max_tokens) throw overspent(used.tokens, max_tokens);
  const byTokens = max_tokens === null ? null : max_tokens - used.tokens;
  if (max_cost_usd === null) return byTokens;
  if (!price || used.costUsd === null) {
    const why = "the budget is in money, and the price of this model is not known: name it in configs/prices.json";
    throw new Failure("budget_spent", why, { max_cost_usd });
  }
  if (used.costUsd >= max_cost_usd) throw overspentUsd(used.costUsd, max_cost_usd);
  if (price.output_usd === 0) return byTokens;
  const byMoney = Math.floor(((max_cost_usd - used.costUsd) * 1_000_000) / price.output_usd);
  if (byMoney < 1) throw overspentUsd(used.costUsd, max_cost_usd);
  return byTokens === null ? byMoney : Math.min(byTokens, byMoney);
}

/** Ends the work when an answer, its question included, took more than was assigned. Throws `budget_spent`. */
export function refuseOverspent(assignment: Assignment | null, { tokens, costUsd }: Used): void {
  const { max_tokens = null, max_cost_usd = null } = assignment?.budget ?? {};
  if (max_tokens !== null && tokens > max_tokens) throw overspent(tokens, max_tokens);
  if (max_cost_usd !== null && (costUsd ?? 0) > max_cost_usd) throw overspentUsd(costUsd ?? 0, max_cost_usd);
}

function overspent(used: number, max_tokens: number): Failure {
  return new Failure("budget_spent", `${used} of ${max_tokens} tokens are used up`, { used, max_tokens });
}

function overspentUsd(used: number, max_cost_usd: number): Failure {
  return new Failure("budget_spent", `${used} of ${max_cost_usd} USD are used up`, { used, max_cost_usd });
}
