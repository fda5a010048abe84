import { expect, test } from "vitest";
import { LimitsPolicy } from "../../src/contracts/policy.ts";
import { capsOf, estimateOf, misfitOf } from "../../src/rules/budget.ts";

const open = { cost_usd: null, tokens: null, seconds: null };
const estimate = { cost_usd: 0.1, tokens: 10, seconds: 1 };
const nothing = { cost_usd: 0, tokens: 0, seconds: 0 };

test("a tenant's own caps win over the default, scope by scope; a name out of the prototype is nobody's", () => {
  const day = { ...open, tokens: 100 };
  const month = { ...open, tokens: 1000 };
  const policy = { estimate, default: { day, month, trace: null }, keys: { acme: { day: null } } };

  expect(capsOf(policy, "acme")).toEqual({ day: null, month, trace: null });
  expect(capsOf(policy, "other")).toEqual({ day, month, trace: null });
  expect(capsOf(policy, "constructor")).toEqual({ day, month, trace: null });
});

test("what an assignment allows is put aside, and the estimate for what it does not say", () => {
  expect(
    estimateOf({ estimate, default: { day: null, month: null, trace: null }, keys: {} }, { ...open, tokens: 3 }),
  ).toEqual({ ...estimate, tokens: 3 });
});

test("what fills a cap to the brim fits, and one more does not", () => {
  const accounts = [
    { scope: "day" as const, key: "d", spent: { ...nothing, tokens: 60 }, reserved: { ...nothing, tokens: 30 } },
  ];
  const caps = { day: { ...open, tokens: 100 }, month: null, trace: null };

  expect(misfitOf(accounts, caps, { ...nothing, tokens: 10 })).toBeNull();
  expect(misfitOf(accounts, caps, { ...nothing, tokens: 11 })).toEqual({
    scope: "day",
    part: "tokens",
    cap: 100,
    spent: 60,
    reserved: 30,
  });
});

test.each([
  ["budgets.default.day.tokens", { default: { day: { ...open, tokens: -1 }, month: null, trace: null } }],
  ["budgets.estimate.cost_usd", { estimate: { ...estimate, cost_usd: 0 } }],
  ["budgets.keys.acme.week", { keys: { acme: { week: null } } }],
])("a policy that is wrong at %s is refused there", (where, wrong) => {
  const read = LimitsPolicy.safeParse({
    roles: { default: { max_waiting: null, max_running: null, rate: null }, keys: {} },
    tenants: { default: { max_waiting: null, max_running: null, rate: null }, keys: {} },
    budgets: { estimate, default: { day: null, month: null, trace: null }, keys: {}, ...wrong },
  });
  const named = read.error?.issues.map(({ path, ...issue }) =>
    [...path, ...("keys" in issue ? issue.keys : [])].join("."),
  );
  expect(named).toEqual([where]);
});
