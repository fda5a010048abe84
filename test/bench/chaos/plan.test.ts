import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { planOf } from "../../../bench/chaos/plan.ts";

const scopes = fc.record({
  seed: fc.nat(),
  seconds: fc.integer({ min: 1, max: 200 }),
  workers: fc.integer({ min: 1, max: 16 }),
  leaseMs: fc.integer({ min: 500, max: 10_000 }),
});

describe("the plan of harm", () => {
  test("is the same for the same seed, and another for another", () => {
    const scope = { seed: 1, seconds: 60, workers: 4, leaseMs: 2000 };

    expect(planOf(scope)).toEqual(planOf(scope));
    expect(planOf({ ...scope, seed: 2 })).not.toEqual(planOf(scope));
  });

  test("is in the order of time, and nothing in it outlasts the run", () => {
    fc.assert(
      fc.property(scopes, (scope) => {
        const plan = planOf(scope);
        const times = plan.map(({ atMs }) => atMs);
        expect(times).toEqual(times.toSorted((a, b) => a - b));
        const lastMs = Math.max(0, ...plan.map((harm) => harm.atMs + ("forMs" in harm ? harm.forMs : 0)));
        expect(lastMs).toBeLessThan(scope.seconds * 1000);
      }),
    );
  });

  test("harms only workers that there are, and stops them for longer than their lease", () => {
    fc.assert(
      fc.property(scopes, (scope) => {
        for (const harm of planOf(scope)) {
          if ("worker" in harm && !(harm.worker >= 0 && harm.worker < scope.workers)) return false;
          if (harm.kind === "stop" && harm.forMs <= scope.leaseMs) return false;
          if ("share" in harm && !(harm.share > 0 && harm.share <= 0.5)) return false;
        }
        return true;
      }),
    );
  });

  test("of ten minutes kills more than fifty times, and leaves no kind out", () => {
    const plan = planOf({ seed: 7, seconds: 600, workers: 8, leaseMs: 2000 });

    expect(plan.filter(({ kind }) => kind === "kill").length).toBeGreaterThan(50);
    expect(new Set(plan.map(({ kind }) => kind))).toEqual(
      new Set(["kill", "leave", "stop", "restart", "crash", "terminate", "cut", "deaf", "poison"]),
    );
  });
});
