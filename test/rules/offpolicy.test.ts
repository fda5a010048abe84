import { describe, expect, test } from "vitest";
import { dice } from "../../bench/chaos/dice.ts";
import { doublyRobust, inversePropensity, type Logged } from "../../src/rules/offpolicy.ts";

const only = (arm: string) => [{ arm, probability: 1 }];

/** Decisions among two arms, the second with `share`; what is asked is what always taking the second would reach. */
function logOf(
  seed: string,
  { count, share, rates }: { count: number; share: number; rates: [number, number] },
): Logged[] {
  const roll = dice(seed);
  return Array.from({ length: count }, () => {
    const second = roll() < share;
    const good = roll() < rates[second ? 1 : 0];
    const arm = second ? "b" : "a";
    return { arm, context: "chat", propensity: second ? share : 1 - share, good, target: only("b") };
  });
}

describe("what another policy would have reached", () => {
  test("is what was reached, when it would have done the same", () => {
    const log = ["good", "good", "bad", "good"].map(
      (end): Logged => ({ arm: "a", context: "chat", propensity: 1, good: end === "good", target: only("a") }),
    );

    expect(inversePropensity(log)).toMatchObject({ value: 0.75, effective_calls: 4 });
    expect(doublyRobust(log)?.value).toBeCloseTo(0.75, 9);
  });

  test("is not certain because two ends were well", () => {
    const log: Logged[] = Array.from({ length: 2 }, () => ({
      arm: "a",
      context: "chat",
      propensity: 0.95,
      good: true,
      target: only("a"),
    }));

    for (const estimate of [inversePropensity(log), doublyRobust(log)]) {
      expect(estimate?.value).toBeGreaterThan(0.7);
      expect(estimate?.low).toBeLessThan(0.8);
    }
  });

  test("is unknown when nothing in the log speaks for it", () => {
    const log: Logged[] = [{ arm: "a", context: "chat", propensity: 1, good: true, target: only("b") }];

    expect([inversePropensity(log), doublyRobust(log)]).toEqual([null, null]);
    expect([inversePropensity([]), doublyRobust([])]).toEqual([null, null]);
  });

  test.each([
    ["inverse propensity", inversePropensity],
    ["doubly robust", doublyRobust],
  ])("by %s, is near the truth, and its interval holds the truth as often as it says", (_, estimate) => {
    const truth = 0.7;
    const runs = Array.from({ length: 400 }, (_, n) =>
      estimate(logOf(`run ${n}`, { count: 1000, share: 0.2, rates: [0.9, truth] })),
    );

    const errors = runs.map((run) => (run?.value ?? 0) - truth);
    const covered = runs.filter((run) => run && run.low <= truth && truth <= run.high).length / runs.length;
    expect(Math.abs(errors.reduce((sum, error) => sum + error, 0) / errors.length)).toBeLessThan(0.01);
    expect(covered).toBeGreaterThan(0.9);
  });

  test("doubly robust corrects a guess that is wrong, and needs no luck where the guess is right", () => {
    // What the first arm is sent is easy, what the second is sent is hard: only the context tells them apart.
    const roll = dice("hard and easy");
    const log = Array.from({ length: 4000 }, (): Logged => {
      const hard = roll() < 0.5;
      const second = roll() < (hard ? 0.5 : 0.05);
      const good = roll() < (hard ? 0.5 : 0.9);
      const propensity = second ? (hard ? 0.5 : 0.05) : hard ? 0.5 : 0.95;
      return { arm: second ? "b" : "a", context: hard ? "hard" : "easy", propensity, good, target: only("b") };
    });

    const naive = log.filter(({ arm }) => arm === "b");
    expect(naive.filter(({ good }) => good).length / naive.length).toBeLessThan(0.6);
    const [simple, robust] = [inversePropensity(log), doublyRobust(log)];
    expect(Math.abs((robust?.value ?? 0) - 0.7)).toBeLessThan(0.03);
    expect((robust?.high ?? 1) - (robust?.low ?? 0)).toBeLessThan((simple?.high ?? 1) - (simple?.low ?? 0));
  });
});
