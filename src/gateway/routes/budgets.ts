import type { Caps, Spend } from "../../contracts/budget.ts";
import { BudgetList } from "../../contracts/http.ts";
import { capsOf } from "../../rules/budget.ts";
import { accountsNow } from "../../store/budgets.ts";
import { problems, type Routes } from "../route.ts";

const nothing: Spend = { cost_usd: 0, tokens: 0, seconds: 0 };
const most = 1000; // accounts in one answer

/** `GET /api/budgets`: a tenant sees its own, operators and admins all, or those of the tenant they name. */
export const budgetRoutes: Routes = (app, { sql, limits }) => {
  app.route({
    method: "GET",
    url: "/api/budgets",
    schema: {
      operationId: "budgets",
      summary: "What is spent, put aside and allowed: today, this month, and in requests with a call under way",
      response: { 200: BudgetList, ...problems },
    },
    async handler({ identity: { kinds, tenant, named } }): Promise<BudgetList> {
      const all = kinds.some((kind) => kind === "operator" || kind === "admin") && !named;
      const policy = limits().budgets;
      const accounts = await accountsNow(sql, { tenant: all ? null : tenant, limit: most });
      const fresh = (["day", "month"] as const)
        .filter((scope) => !accounts.some((one) => one.tenant === tenant && one.scope === scope))
        .map((scope) => ({ tenant, scope, key: null, spent: nothing, reserved: nothing }));
      return {
        budgets: [...accounts, ...fresh].map((one) => ({ ...one, cap: capOf(capsOf(policy, one.tenant), one.scope) })),
      };
    },
  });
};

function capOf(caps: Caps, scope: keyof Caps) {
  return caps[scope] ?? { cost_usd: null, tokens: null, seconds: null };
}
