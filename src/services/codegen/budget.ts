import { Failure } from "../../contracts/failure.ts";
import type { Assignment } from "../../contracts/message.ts";

/**
 * How many tokens the next answer may have, after `used`; null when nobody set a cap. Throws `budget_spent` when none
 * is left, and for a cap in money: without prices it could not be kept, and a cap that is not kept is none.
 */
export function tokensLeft(assignment: Assignment | null, used: number): number | null {
  const { max_tokens = null, max_cost_usd = null } = assignment?.budget ?? {};
  if (max_cost_usd !== null) {
    throw new Failure("budget_spent", "the budget is in money, and the price of this model is not known", {
      max_cost_usd,
    });
  }
  if (max_tokens === null) return null;
  if (used < max_tokens) return max_tokens - used;
  throw overspent(used, max_tokens);
}

/** Ends the work when an answer, its question included, took more than was assigned. Throws `budget_spent`. */
export function refuseOverspent(assignment: Assignment | null, used: number): void {
  const most = assignment?.budget.max_tokens ?? null;
  if (most !== null && used > most) throw overspent(used, most);
}

function overspent(used: number, max_tokens: number): Failure {
  return new Failure("budget_spent", `${used} of ${max_tokens} tokens are used up`, { used, max_tokens });
}
