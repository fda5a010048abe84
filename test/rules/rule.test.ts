import { describe, expect, test } from "vitest";
import { OrchestratorPolicy } from "../../src/contracts/choice.ts";
import { hashOf, ruleFor } from "../../src/rules/rule.ts";
import { shipped } from "../support/agents.ts";

const policy = OrchestratorPolicy.parse({
  ...shipped,
  overrides: [
    { tenant: "acme", intent: "code.generate", weights: { price: 1 } },
    { tenant: "acme", weights: { price: 2, load: 2 }, exploration: { share: 0 } },
    { intent: "code.generate", weights: { price: 3, load: 3, fit: 9 } },
  ],
});
const base = shipped.default;

describe("the rule in effect", () => {
  test("is the default where nothing differs", () => {
    expect(ruleFor(policy, { tenant: "globex", intent: "chat" })).toEqual(base);
  });

  test("differs by intent, then by tenant, then by both, each weight by itself", () => {
    const { weights } = ruleFor(policy, { tenant: "acme", intent: "code.generate" });

    expect(weights).toEqual({ ...base.weights, price: 1, load: 2, fit: 9 });
    expect(ruleFor(policy, { tenant: "globex", intent: "code.generate" }).weights).toMatchObject({ price: 3, load: 3 });
  });

  test("may have no exploration for one tenant, whatever it wants, and leaves the others theirs", () => {
    for (const intent of ["chat", "code.generate"]) {
      expect(ruleFor(policy, { tenant: "acme", intent }).exploration).toEqual({ ...base.exploration, share: 0 });
      expect(ruleFor(policy, { tenant: "globex", intent }).exploration).toEqual(base.exploration);
    }
  });

  test("may limit an assignment where the default does not", () => {
    const limited = { ...shipped, overrides: [{ intent: "code.generate", assignment: { ttl_ms: 60_000 } }] };
    const rule = ruleFor(OrchestratorPolicy.parse(limited), { tenant: "acme", intent: "code.generate" });
    expect(rule.assignment).toEqual({ ttl_ms: 60_000, max_tokens: null, max_cost_usd: null });
    expect(base.assignment).toBeUndefined();
  });

  test("has a name of its own when a weight differs, whatever the order of its fields", () => {
    const turned = Object.fromEntries(Object.entries(base).reverse());

    expect(hashOf({ ...base, ...turned })).toBe(hashOf(base));
    expect(hashOf(ruleFor(policy, { tenant: "acme", intent: "chat" }))).not.toBe(hashOf(base));
  });

  test.each([
    ["a weight that is not a number", { ...base, weights: { ...base.weights, price: "10" } }],
    ["a weight of NaN", { ...base, weights: { ...base.weights, price: Number.NaN } }],
    ["more exploration than a half", { ...base, exploration: { ...base.exploration, share: 0.6 } }],
  ])("cannot have %s, and the field is named", (_, wrong) => {
    const parsed = OrchestratorPolicy.safeParse({ ...shipped, default: wrong });

    expect(parsed.error?.issues[0]?.path.join(".")).toMatch(/^default\.(weights\.price|exploration\.share)$/);
  });
});
