import { describe, expect, test } from "vitest";
import { canaryDraw, slicesOf, stickyKeyOf } from "../../src/rules/canary.ts";
import { standing, steady } from "../support/agents.ts";

const keys = Array.from({ length: 20_000 }, (_, n) => `acme/order-${n}`);
const shareOf = (below: number, stable: string, of: string[]) =>
  of.filter((key) => canaryDraw(stable, key) < below).length / of.length;

describe("the draw of a canary", () => {
  test.each([1, 5, 20, 50])("gives %d %% of keys to the canary, within sampling error", (pct) => {
    const share = pct / 100;
    const error = 4 * Math.sqrt((share * (1 - share)) / keys.length);

    expect(Math.abs(shareOf(pct, "steady", keys) - share)).toBeLessThan(error);
  });

  test("is the same for the same key, and another for another stable", () => {
    expect(canaryDraw("steady", "acme/1")).toBe(canaryDraw("steady", "acme/1"));
    const drawn = keys.filter((key) => canaryDraw("steady", key) < 20);
    expect(shareOf(20, "other", drawn)).toBeGreaterThan(0.18);
    expect(shareOf(20, "other", drawn)).toBeLessThan(0.22);
  });

  test("sticks to what the plan says", () => {
    const parts = { tenant: "acme", conversation: "c1", key: "order-1" };

    expect(stickyKeyOf({ sticky: "tenant" }, parts)).toBe("acme");
    expect(stickyKeyOf({ sticky: "conversation" }, parts)).toBe("acme/c1");
    expect(stickyKeyOf({ sticky: "conversation" }, { ...parts, conversation: null })).toBe("acme/order-1");
    expect(stickyKeyOf({ sticky: "request" }, parts)).toBe("acme/order-1");
  });

  test("canaries of one stable never share a key, and one that rests keeps its part", () => {
    const canary = (id: string, rest = {}) => standing({ id, canary_of: steady, canary_pct: 20, ...rest });
    const slices = slicesOf([canary("b"), canary("a", { enabled: false }), canary("c", { mode: "shadow" })]);

    expect(slices.map(({ canary: { id }, from, to }) => [id, from, to])).toEqual([
      ["a", 0, 20],
      ["b", 20, 40],
    ]);
  });
});
