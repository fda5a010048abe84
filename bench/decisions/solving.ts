import { join } from "node:path";
import { setImmediate as breathe } from "node:timers/promises";
import type { OrchestratorPolicy } from "../../src/contracts/choice.ts";
import { dice } from "../chaos/dice.ts";
import { judgeGoal } from "../goals.ts";
import { percentile, rounded } from "../numbers.ts";
import type { Part } from "./part.ts";
import { policyHere } from "./policy.ts";
import { recordedIn } from "./recorded.ts";
import { simulate } from "./simulation.ts";
import { type Course, courseOf, firstPassAfter, type Others, othersOn } from "./strategies.ts";

export const passes = 5;

/** What one seed solved: of all tasks, against the best single agent, and in the first pass after 30 tasks. */
type Run = { ours: number; others: Others; share: number; first: number };

/** What the rules solve with the recorded agents, without prior knowledge, over many seeds. Without the bus. */
export const solving: Part = {
  name: "solving",
  async judge({ seeds, data, progress, signal }) {
    const [policy, recorded] = await Promise.all([policyHere(), recordedIn(join(data, "code"))]);
    const runs: Run[] = [];
    const late: Run[] = [];
    for (let seed = 1; seed <= seeds; seed += 1) {
      const course = courseOf(recorded, passes, dice(`course ${seed}`));
      runs.push(runOf(course, { seed, policy, delay: 0 }));
      if (seed <= seeds / 10) late.push(runOf(course, { seed, policy, delay: 8 }));
      if (seed % 50 > 0) continue;
      signal.throwIfAborted();
      progress(`solving: ${seed} of ${seeds} seeds`);
      await breathe();
    }
    const shares = runs.map(({ share }) => share);
    const firsts = runs.map(({ first }) => first);
    return {
      numbers: {
        solved_by_rules: {
          seeds,
          tasks: recorded.tasks.length * passes,
          ours: mean(runs.map(({ ours }) => ours)),
          best_single: mean(runs.map(({ others }) => others.best_single)),
          always_first: mean(runs.map(({ others }) => others.always_first)),
          round_robin: mean(runs.map(({ others }) => others.round_robin)),
          random: mean(runs.map(({ others }) => others.random)),
          of_best_single: spread(shares),
          first_pass_after_30: spread(firsts),
          with_8_in_flight: {
            seeds: late.length,
            of_best_single: spread(late.map(({ share }) => share)),
            first_pass_after_30: spread(late.map(({ first }) => first)),
          },
        },
      },
      goals: [
        judgeGoal(
          { name: "solved by the rules, of the best single agent", unit: "(mean of seeds)", least: 0.95 },
          mean(shares),
        ),
        judgeGoal(
          { name: "in the first pass after 30 tasks, by the rules", unit: "(mean of seeds)", least: 0.9 },
          mean(firsts),
        ),
      ],
    };
  },
};

/** One seed; an end is known `delay` decisions later. */
function runOf(
  course: Course,
  { seed, policy, delay }: { seed: number; policy: OrchestratorPolicy; delay: number },
): Run {
  const players = course.agents.map((_, n) => ({ id: `agent-${n + 1}` }));
  const { decide, end } = simulate(players, policy, dice(`choices ${seed}`));
  const waiting: (() => void)[] = [];
  const solved = course.passes.flat().map((task) => {
    const decided = decide("code.generate");
    const good = course.agents[decided.player]?.solved.has(task) === true;
    waiting.push(() => end(decided, good));
    if (waiting.length > delay) waiting.shift()?.();
    return good;
  });
  const others = othersOn(course, dice(`others ${seed}`));
  const ours = solved.filter(Boolean).length;
  return { ours, others, share: ours / others.best_single, first: firstPassAfter(course, solved) };
}

function mean(values: number[]): number {
  return rounded(values.reduce((sum, value) => sum + value, 0) / values.length);
}

function spread(values: number[]): { mean: number; p5: number | null; worst: number } {
  return { mean: mean(values), p5: rounded(percentile(values, 5)), worst: rounded(Math.min(...values)) };
}
