import type { BudgetPolicy, Caps, Figure, Spend } from "../contracts/budget.ts";
import { Failure } from "../contracts/failure.ts";
import { capsOf, capsTokens, estimateOf, type Misfit, misfitOf } from "../rules/budget.ts";
import { accountsNow, closeReservations, reserve } from "../store/budgets.ts";
import type { Database, Sql } from "../store/database.ts";
import { hold } from "../store/leases.ts";
import type { Claimed } from "../store/messages.ts";

/** What an attempt has put aside (or is about to: `made`), and what its call did cost as far as it said. */
export type Aside = { made: Promise<unknown>; figure: Figure | null };

/**
 * Puts aside what a call may cost, before it is made. Answers how many tokens it may take; null: as many as it likes.
 * Throws `budget_exhausted` when that does not fit under a cap of the tenant or the trace, and `lease_lost`.
 */
export async function putAside(
  sql: Database,
  message: Claimed,
  { policy, most }: { policy: BudgetPolicy; most: Figure },
): Promise<{ tokens: number | null }> {
  const caps = capsOf(policy, message.tenant);
  const wanted = estimateOf(policy, most);
  try {
    await sql.begin(async (tx) => {
      if (!(await hold(tx, message))) throw new Failure("lease_lost", `message ${message.id} is no longer held by us`);
      await closeReservations(tx, [{ id: message.id, figure: null }]);
      if (!(await reserve(tx, message, { wanted, caps }))) throw new NoFit();
    });
  } catch (error) {
    if (error instanceof NoFit) throw exhausted(await whyNot(sql, message, { caps, wanted }), message.tenant);
    throw error;
  }
  return { tokens: capsTokens(caps) ? wanted.tokens : most.tokens };
}

/** Ends what an attempt has put aside, in the transaction that settles it. */
export async function closeAside(tx: Sql, { id }: Pick<Claimed, "id">, aside: Aside | undefined): Promise<void> {
  if (aside) await closeReservations(tx, [{ id, figure: aside.figure }]);
}

/** Rolls the transaction back. */
class NoFit extends Error {}

async function whyNot(
  sql: Database,
  { tenant, traceId }: Claimed,
  { caps, wanted }: { caps: Caps; wanted: Spend },
): Promise<Misfit | null> {
  return misfitOf(await accountsNow(sql, { tenant, traceId }), caps, wanted);
}

const spans = { day: "a day", month: "a month", trace: "one request" };

/** Without a misfit, what was in the way has been given back since. */
function exhausted(misfit: Misfit | null, tenant: string): Failure {
  if (!misfit) return new Failure("budget_exhausted", `the budget of ${tenant} was all put aside; ask again`);
  const { scope, part, cap, spent, reserved } = misfit;
  return new Failure(
    "budget_exhausted",
    `${tenant} may spend ${cap} ${part} in ${spans[scope]}: ${spent} are spent and ${reserved} put aside, so this does ` +
      "not fit; ask again later, or let an operator raise budgets in configs/limits.json",
    misfit,
  );
}
