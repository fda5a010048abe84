import { setImmediate as breathe } from "node:timers/promises";
import { CanaryState } from "../../src/contracts/canary.ts";
import type { CanaryPlan } from "../../src/contracts/choice.ts";
import { observe, verdictOf } from "../../src/rules/trial.ts";
import { dice } from "../chaos/dice.ts";
import { judgeGoal } from "../goals.ts";
import { percentile, rounded } from "../numbers.ts";
import type { Part } from "./part.ts";
import { policyHere } from "./policy.ts";

/** A canary, its stable, and how many calls the canary gets at most. */
type Pair = { canary: number; stable: number; calls: number };

/** The calls after which the canary was paused, and called not worse; null: it was not. */
type Course = { paused: number | null; notWorse: number | null };

const share = 0.2; // of the work, for the canary

/** How soon the test pauses a canary that is worse, and how often one that is not. By the pure rule. */
export const canary: Part = {
  name: "canary",
  async judge({ seeds, progress, signal }) {
    const { canary: plan } = await policyHere();
    const runs = async (pair: Pair, word: string) => {
      const courses: Course[] = [];
      for (let seed = 1; seed <= seeds; seed += 1) {
        courses.push(courseOf(seed, pair, plan));
        if (seed % 100 > 0) continue;
        signal.throwIfAborted();
        progress(`canary: ${word}, ${seed} of ${seeds} seeds`);
        await breathe();
      }
      return courses;
    };
    const much = await runs({ canary: 0.58, stable: 0.82, calls: 2000 }, "much worse");
    const little = await runs({ canary: 0.77, stable: 0.82, calls: 1600 }, "worse by the margin");
    const equal = await runs({ canary: 0.82, stable: 0.82, calls: 2000 }, "equal");
    const calls = much.map(({ paused }) => paused ?? Number.POSITIVE_INFINITY);
    const [p50, p95] = [percentile(calls, 50), percentile(calls, 95)];
    const wrongly = shareOf(equal, ({ paused }) => paused !== null);
    return {
      numbers: {
        canary: {
          seeds,
          plan,
          much_worse: { rates: [0.58, 0.82], paused_after: { p50, p95 }, paused: shareOf(much, wasPaused) },
          worse_by_the_margin: {
            rates: [0.77, 0.82],
            paused: shareOf(little, wasPaused),
            called_not_worse: shareOf(
              little,
              ({ notWorse, paused }) => notWorse !== null && notWorse < (paused ?? Number.POSITIVE_INFINITY),
            ),
          },
          equal: {
            rates: [0.82, 0.82],
            calls: 2000,
            paused_wrongly: wrongly,
            called_not_worse: shareOf(equal, ({ notWorse }) => notWorse !== null),
            called_after: {
              p50: rounded(
                percentile(
                  equal.flatMap(({ notWorse }) => notWorse ?? []),
                  50,
                ),
              ),
            },
          },
        },
      },
      goals: [
        judgeGoal({ name: "a canary much worse is paused, half of them", unit: "canary calls", most: 40 }, p50),
        judgeGoal({ name: "a canary much worse is paused, 95 % of them", unit: "canary calls", most: 95 }, p95),
        judgeGoal({ name: "equal canaries paused in 2,000 calls", unit: "of seeds", most: 0.02 }, wrongly),
      ],
    };
  },
};

function wasPaused({ paused }: Course): boolean {
  return paused !== null;
}

function shareOf(courses: Course[], claim: (course: Course) => boolean): number {
  return courses.filter(claim).length / courses.length;
}

function courseOf(seed: number, { canary, stable, calls }: Pair, plan: CanaryPlan): Course {
  const roll = dice(`canary ${seed}`);
  let state = CanaryState.parse({});
  let notWorse: number | null = null;
  for (let drawn = 0; drawn < calls; ) {
    const side = roll() < share ? "canary" : "stable";
    if (side === "canary") drawn += 1;
    const before = state.most;
    state = observe(state, { side, good: roll() < (side === "canary" ? canary : stable) }, plan);
    if (state.not_worse) notWorse ??= drawn;
    if (state.most > before && verdictOf(state, plan).verdict === "worse") return { paused: drawn, notWorse };
  }
  return { paused: null, notWorse };
}
