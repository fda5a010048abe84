import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CanaryState } from "../../src/contracts/canary.ts";
import type { CanaryPlan } from "../../src/contracts/choice.ts";
import { drawOf } from "../../src/rules/draw.ts";
import { observe, type TrialEnd, verdictOf } from "../../src/rules/trial.ts";
import { shipped } from "../support/agents.ts";

const plan: CanaryPlan = shipped.canary;
const begun = CanaryState.parse({});
const told = (ends: TrialEnd[], of = plan) => ends.reduce((state, end) => observe(state, end, of), begun);

/** Ends of a canary that gets 20 % of the work: always the same for the same seed. */
function ends(seed: number, { canary, stable, calls }: { canary: number; stable: number; calls: number }): TrialEnd[] {
  const all: TrialEnd[] = [];
  for (let n = 0, drawn = 0; drawn < calls; n += 1) {
    const side = drawOf("side", String(seed), String(n)) < 0.2 ? "canary" : "stable";
    if (side === "canary") drawn += 1;
    all.push({ side, good: drawOf("end", String(seed), String(n)) < (side === "canary" ? canary : stable) });
  }
  return all;
}
const verdict = (seed: number, of: Parameters<typeof ends>[1]) => verdictOf(told(ends(seed, of)), plan).verdict;
const seeds = (count: number) => Array.from({ length: count }, (_, n) => n);

describe("the test of a canary", () => {
  test("finds out one that is much worse, and says on what it stands", () => {
    const found = verdictOf(told(ends(1, { canary: 0.58, stable: 0.82, calls: 95 })), plan);

    expect(found.verdict).toBe("worse");
    expect(found.evidence).toBeGreaterThanOrEqual(found.needed);
    expect(found.because).toMatch(
      /^\d\d(\.\d)? % of 95 calls ended well, against \d\d(\.\d)? % of \d+ of its stable: evidence/,
    );
  });

  test("finds nine of ten such canaries within 95 calls", () => {
    const worse = seeds(100).filter((seed) => verdict(seed, { canary: 0.58, stable: 0.82, calls: 95 }) === "worse");

    expect(worse.length).toBeGreaterThanOrEqual(90);
  });

  test("pauses next to none that are as good as their stable", () => {
    const wrong = seeds(100).filter((seed) => verdict(seed, { canary: 0.82, stable: 0.82, calls: 300 }) === "worse");

    expect(wrong.length).toBeLessThanOrEqual(5);
  });

  test("never expects evidence against a canary that is not worse: exact, over every outcome of a block", () => {
    const rate = fc.double({ min: 0.01, max: 0.99, noNaN: true });
    const history = fc.array(
      fc.record({ side: fc.constantFrom("canary" as const, "stable" as const), good: fc.boolean() }),
    );
    fc.assert(
      fc.property(history, fc.integer({ min: 1, max: 4 }), rate, rate, (before, stables, a, b) => {
        const [canary, stable] = [Math.max(a, b), Math.min(a, b)];
        const state = told(before);
        // Of a block that is half told the expectation is another: only those are looked at that begin here.
        fc.pre(Object.values(state.open).every(({ good, bad }) => good + bad === 0));
        const sides = [...Array<"stable">(stables).fill("stable"), "canary" as const];
        let expected = 0;
        for (let bits = 0; bits < 2 ** sides.length; bits += 1) {
          let [chance, next] = [1, state];
          sides.forEach((side, n) => {
            const good = (bits >> n) % 2 === 1;
            const p = side === "canary" ? canary : stable;
            chance *= good ? p : 1 - p;
            next = observe(next, { side, good }, plan);
          });
          expected += chance * Math.exp((next.log_evidence[0] ?? 0) - (state.log_evidence[0] ?? 0));
        }
        expect(expected).toBeLessThanOrEqual(1 + 1e-9);
      }),
    );
  });

  test("says that a canary is not worse at its planned calls, not before", () => {
    const good = ends(3, { canary: 0.9, stable: 0.8, calls: plan.planned_calls });
    const early = verdictOf(told(good.slice(0, -1)), plan);
    const planned = verdictOf(told(good), plan);

    expect(early).toMatchObject({ verdict: "open", difference: null, planned_calls: plan.planned_calls });
    expect(planned).toMatchObject({ verdict: "not_worse", planned_calls: 2 * plan.planned_calls });
    expect(planned.difference?.low).toBeGreaterThan(-plan.margin);
    expect(planned.because).toContain("worse by less than 5 %, if at all");
  });

  test("asks again at twice the calls when it could not be said", () => {
    const short = { ...plan, planned_calls: 10, margin: 0.01 };
    const state = told(ends(5, { canary: 0.8, stable: 0.8, calls: 45 }), short);

    expect(state).toMatchObject({ looks: 3, not_worse: false });
    expect(verdictOf(state, short)).toMatchObject({ verdict: "open", planned_calls: 80 });
  });

  test("a canary that was found to be worse stays so, whatever comes after", () => {
    const bad = ends(1, { canary: 0.58, stable: 0.82, calls: 95 });
    const recovered = Array.from(
      { length: 2000 },
      (_, n): TrialEnd => ({ side: n % 5 ? "stable" : "canary", good: true }),
    );

    expect(verdictOf(told([...bad, ...recovered]), plan).verdict).toBe("worse");
  });

  test("stands where it stood when its state was kept and read again", () => {
    const all = ends(7, { canary: 0.7, stable: 0.8, calls: 50 });
    const half = CanaryState.parse(JSON.parse(JSON.stringify(told(all.slice(0, 100)))));

    expect(all.slice(100).reduce((state, end) => observe(state, end, plan), half)).toEqual(told(all));
  });
});
