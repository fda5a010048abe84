import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PricePolicy } from "../../src/contracts/policy.ts";
import { costOf, priceFor } from "../../src/rules/price.ts";

const price = (input_usd: number) => ({ input_usd, output_usd: 1 });

describe("the price of a model", () => {
  const policy = PricePolicy.parse({ models: { big: price(3), "big*": price(2), "bi*": price(1) } });

  test.each([
    ["big", 3],
    ["big-2030", 2],
    ["bit", 1],
    ["small", null],
    ["__proto__", null],
    ["constructor", null],
  ])("of %s is its own, else that of the longest beginning, else unknown", (model, input) => {
    expect(priceFor(policy, model)?.input_usd ?? null).toBe(input);
  });

  test("counts what was cached at its own price", () => {
    expect(
      costOf({ input_usd: 2, cached_input_usd: 0.5, output_usd: 8 }, { input: 1000, output: 500, cached: 400 }),
    ).toBe(0.0054);
    expect(costOf({ input_usd: 2, output_usd: 8 }, { input: 1000, output: 500, cached: 400 })).toBe(0.006);
  });

  test("is never less for more tokens", () => {
    const tokens = fc.integer({ min: 0, max: 1_000_000 });
    const usd = fc.double({ min: 0, max: 100, noNaN: true });
    fc.assert(
      fc.property(tokens, tokens, tokens, usd, usd, (input, output, more, input_usd, output_usd) => {
        const of = { input_usd, output_usd };
        const before = costOf(of, { input, output });
        expect(costOf(of, { input: input + more, output })).toBeGreaterThanOrEqual(before);
        expect(costOf(of, { input, output: output + more })).toBeGreaterThanOrEqual(before);
      }),
    );
  });

  test.each(["*", "a b", "a*b", ""])("has no name like %j", (name) => {
    expect(PricePolicy.safeParse({ models: { [name]: price(1) } }).success).toBe(false);
  });
});
