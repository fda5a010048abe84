import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Failure } from "../../src/contracts/failure.ts";
import type { RetryPolicy, RetryRule } from "../../src/contracts/policy.ts";
import { judge, ruleFor } from "../../src/rules/retry.ts";

const rule: RetryRule = { max_attempts: 4, base_ms: 100, factor: 3, cap_ms: 500, jitter: 0 };
const unreachable = new Failure("model_unreachable", "gone");

describe("the retry rule", () => {
  test("waits longer after each attempt, up to the cap, and then gives up", () => {
    const verdicts = [1, 2, 3, 4].map((attempts) => judge(unreachable, rule, { attempts, chance: 0 }));

    expect(verdicts).toEqual([
      { again: true, delayMs: 100 },
      { again: true, delayMs: 300 },
      { again: true, delayMs: 500 },
      { again: false, why: "attempt 4 of 4 failed" },
    ]);
  });

  test("never tries again what cannot get better", () => {
    const verdict = judge(new Failure("never_green", "red"), rule, { attempts: 1, chance: 0 });

    expect(verdict).toEqual({ again: false, why: "never_green is not tried again" });
  });

  test("lets a failure lower the number of attempts, not raise it", () => {
    const tried = (max_attempts: number, attempts: number) =>
      judge(new Failure("sandbox_violation", "memory", { max_attempts }), rule, { attempts, chance: 0 }).again;

    expect(tried(2, 1)).toBe(true);
    expect(tried(2, 2)).toBe(false);
    expect(tried(9, 4)).toBe(false);
  });

  test("waits at least as long as the other side asked", () => {
    const busy = new Failure("model_busy", "429", { retry_after_ms: 7000 });

    expect(judge(busy, rule, { attempts: 1, chance: 0 })).toEqual({ again: true, delayMs: 7000 });
  });

  test("keeps every delay between the unjittered one and its jittered share", () => {
    fc.assert(
      fc.property(
        fc.record({
          max_attempts: fc.integer({ min: 2, max: 100 }),
          base_ms: fc.integer({ min: 0, max: 10_000 }),
          factor: fc.double({ min: 1, max: 10, noNaN: true }),
          cap_ms: fc.integer({ min: 0, max: 100_000 }),
          jitter: fc.double({ min: 0, max: 1, noNaN: true }),
        }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat(98),
        (drawn, chance, begun) => {
          const attempts = (begun % (drawn.max_attempts - 1)) + 1;
          const full = Math.min(drawn.cap_ms, drawn.base_ms * drawn.factor ** (attempts - 1));
          const verdict = judge(unreachable, drawn, { attempts, chance });
          if (!verdict.again) throw new Error("gave up too early");
          expect(verdict.delayMs).toBeLessThanOrEqual(Math.ceil(full));
          expect(verdict.delayMs).toBeGreaterThanOrEqual(Math.floor(full * (1 - drawn.jitter)));
        },
      ),
    );
  });
});

test("the most specific key of the policy wins", () => {
  const at = (max_attempts: number): RetryRule => ({ ...rule, max_attempts });
  const policy: RetryPolicy = {
    default: at(1),
    keys: { executor: at(2), "executor.execute": at(3), "executor.execute.3": at(4) },
  };
  const most = (service: string, role: string, shard: number) => ruleFor(policy, { service, role, shard }).max_attempts;

  expect(most("executor", "execute", 3)).toBe(4);
  expect(most("executor", "execute", 2)).toBe(3);
  expect(most("executor", "other", 3)).toBe(2);
  expect(most("rag", "query", 0)).toBe(1);
  expect(most("constructor", "x", 0)).toBe(1);
});
