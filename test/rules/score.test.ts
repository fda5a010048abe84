import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Standing } from "../../src/contracts/agent.ts";
import { score } from "../../src/rules/score.ts";

const standing = (rest: Partial<Standing>): Standing => ({
  id: "steady",
  version: "1",
  serviceRole: "executor.execute",
  intents: ["code.buildtest"],
  reach: "builtin",
  target: "buildtest.run",
  capacity: 2,
  priceUsd: 0,
  tenants: [],
  canaryPct: 0,
  enabled: true,
  silentMs: 100,
  load: 0,
  done: 0,
  dead: 0,
  ...rest,
});
const wish = { tenant: "acme", intent: "code.buildtest", bucket: 50 };
const first = (agents: Standing[], rest = {}) => score(agents, { ...wish, ...rest })[0];

describe("the score of candidates", () => {
  test("prefers the agent with the better record", () => {
    const ranked = score(
      [standing({ id: "poor", done: 2, dead: 8 }), standing({ id: "good", done: 9, dead: 1 })],
      wish,
    );

    expect(ranked.map(({ agent_id }) => agent_id)).toEqual(["good", "poor"]);
    expect(ranked[0]?.reasons).toContain("+0.50 success 0.83 over 10 ended traces");
  });

  test("prefers the idle one of two equals, and the cheap one of two idle ones", () => {
    expect(first([standing({ id: "busy", load: 1 }), standing({ id: "idle" })])?.agent_id).toBe("idle");
    expect(first([standing({ id: "dear", priceUsd: 3 }), standing({ id: "cheap", priceUsd: 1 })])?.agent_id).toBe(
      "cheap",
    );
  });

  test.each([
    ["it is disabled", { enabled: false }],
    ["it does not do code.buildtest", { intents: ["code.generate" as const] }],
    ["it does not work for tenant acme", { tenants: ["globex"] }],
    ["it has been silent for 11 s", { silentMs: 11_000 }],
    ["a canary at rest: the draw 50 is not below 20 %", { canaryPct: 20 }],
  ])("excludes an agent and says: %s", (why, rest) => {
    expect(first([standing(rest)])).toMatchObject({ excluded: why, score: 0, reasons: [`excluded: ${why}`] });
  });

  test("sends a drawn canary first, whatever the others score, and a resting one never", () => {
    const agents = [standing({ id: "steady", done: 100 }), standing({ id: "bold", canaryPct: 20, load: 1, dead: 5 })];

    expect(first(agents, { bucket: 19 })?.agent_id).toBe("bold");
    expect(first(agents, { bucket: 20 })?.agent_id).toBe("steady");
  });

  test("is the sum of its terms, between 0 and 1, for any standing", () => {
    const any = fc.record({
      priceUsd: fc.double({ min: 0, max: 100, noNaN: true }),
      load: fc.double({ min: 0, max: 5, noNaN: true }),
      done: fc.nat(1000),
      dead: fc.nat(1000),
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
