import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Standing } from "../../src/contracts/agent.ts";
import { score } from "../../src/rules/score.ts";
import { standing, stats, steady } from "../support/agents.ts";

const wish = { tenant: "acme", intent: "code.buildtest", bucket: 50 };
const first = (agents: Standing[], rest = {}) => score(agents, { ...wish, ...rest })[0];

describe("the score of candidates", () => {
  test("prefers the agent with the better record", () => {
    const ranked = score(
      [standing({ id: "poor", stats: [stats(2, 8)] }), standing({ id: "good", stats: [stats(9, 1)] })],
      wish,
    );

    expect(ranked.map(({ agent_id }) => agent_id)).toEqual(["good", "poor"]);
    expect(ranked[0]?.reasons).toContain("+0.50 success 0.83 over 10 ended traces");
  });

  test("prefers the idle one of two equals, and the cheap one of two idle ones", () => {
    expect(first([standing({ id: "busy", in_flight: 2 }), standing({ id: "idle" })])?.agent_id).toBe("idle");
    expect(
      first([
        standing({ id: "dear", price: { per_call_usd: 0, per_1k_tokens_usd: 3 } }),
        standing({ id: "cheap", price: { per_call_usd: 0, per_1k_tokens_usd: 1 } }),
      ])?.agent_id,
    ).toBe("cheap");
  });

  test.each([
    ["it is disabled", { enabled: false }],
    ["it does not do code.buildtest", { intents: ["code.generate" as const] }],
    ["it does not work for tenant acme", { tenants: ["globex"] }],
    ["it has been silent for 11 s", { silent_ms: 11_000 }],
    ["a canary at rest: the draw 50 is not below 20 %", { canary_of: steady, canary_pct: 20 }],
  ])("excludes an agent and says: %s", (why, rest) => {
    expect(first([standing(rest)])).toMatchObject({ excluded: why, score: 0, reasons: [`excluded: ${why}`] });
  });

  test("sends a drawn canary first, whatever the others score, and a resting one never", () => {
    const agents = [
      standing({ id: "steady", stats: [stats(100, 0)] }),
      standing({ id: "bold", canary_of: steady, canary_pct: 20, in_flight: 2, stats: [stats(0, 5)] }),
    ];

    expect(first(agents, { bucket: 19 })?.agent_id).toBe("bold");
    expect(first(agents, { bucket: 20 })?.agent_id).toBe("steady");
  });

  test("is the sum of its terms, between 0 and 1, for any standing", () => {
    const any = fc.record({
      price: fc.record({
        per_call_usd: fc.constant(0),
        per_1k_tokens_usd: fc.double({ min: 0, max: 100, noNaN: true }),
      }),
      in_flight: fc.nat(10),
      stats: fc.tuple(fc.nat(1000), fc.nat(1000)).map(([good, bad]) => [stats(good, bad)]),
    });
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 8 }), (drawn) => {
        const candidates = score(
          drawn.map((rest, n) => standing({ id: `agent-${n}`, ...rest })),
          wish,
        );
        for (const { score: total, terms } of candidates) {
          const sum = Object.values(terms).reduce((a, b) => a + b, 0);
          expect(Math.abs(sum - total)).toBeLessThan(1e-9);
          expect(total).toBeGreaterThanOrEqual(0);
          expect(total).toBeLessThanOrEqual(1 + 1e-9);
        }
      }),
    );
  });
});
