import type { BudgetPolicy, Cap, Caps, Figure, Spend } from "../contracts/budget.ts";

/** One account of a tenant: what is spent and what is put aside. */
export type Account = { scope: keyof Caps; key: string; spent: Spend; reserved: Spend };

/** What may be spent for a tenant: what its key says, over the default. */
export function capsOf({ default: usual, keys }: BudgetPolicy, tenant: string): Caps {
  const own = Object.hasOwn(keys, tenant) ? (keys[tenant] ?? {}) : {};
  const { day = usual.day, month = usual.month, trace = usual.trace } = own;
  return { day, month, trace };
}

/** What to put aside for a call: what its assignment allows, else the policy's estimate. */
export function estimateOf({ estimate }: BudgetPolicy, most: Figure): Spend {
  return {
    cost_usd: most.cost_usd ?? estimate.cost_usd,
    tokens: most.tokens ?? estimate.tokens,
    seconds: most.seconds ?? estimate.seconds,
  };
}

/** Whether any account of these has a cap on tokens: then an answer may not be longer than what was put aside. */
export function capsTokens(caps: Caps): boolean {
  return [caps.day, caps.month, caps.trace].some((cap) => typeof cap?.tokens === "number");
}

export type Misfit = { scope: keyof Caps; part: keyof Cap; cap: number; spent: number; reserved: number };

const parts = ["cost_usd", "tokens", "seconds"] as const;

/** The first cap that `wanted` does not fit under any more; null: it fits. */
export function misfitOf(accounts: Account[], caps: Caps, wanted: Spend): Misfit | null {
  for (const scope of ["trace", "day", "month"] as const) {
    const account = accounts.find((one) => one.scope === scope);
    for (const part of parts) {
      const cap = caps[scope]?.[part] ?? null;
      const spent = account?.spent[part] ?? 0;
      const reserved = account?.reserved[part] ?? 0;
      if (cap !== null && spent + reserved + wanted[part] > cap) return { scope, part, cap, spent, reserved };
    }
  }
  return null;
}
