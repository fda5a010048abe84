import type { Dice } from "../chaos/dice.ts";
import type { Recorded } from "./recorded.ts";
import { shuffled } from "./simulation.ts";

/** The tasks in the order of a seed, pass by pass, and the agents in the order in which they are registered. */
export type Course = { passes: string[][]; agents: Recorded["agents"] };

/** Every pass has another order, and every seed other places for the agents: a tie by name or place helps nobody. */
export function courseOf({ tasks, agents }: Recorded, passes: number, roll: Dice): Course {
  return { agents: shuffled(agents, roll), passes: Array.from({ length: passes }, () => shuffled(tasks, roll)) };
}

/** What is solved by those who do not learn, of all tasks of all passes. */
export type Others = { best_single: number; always_first: number; round_robin: number; random: number };

/** How many are solved without learning. `best_single` is known in hindsight only. */
export function othersOn({ passes, agents }: Course, roll: Dice): Others {
  const all = passes.flat();
  const solvedBy = (place: (n: number) => number) =>
    all.filter((task, n) => agents[place(n) % agents.length]?.solved.has(task)).length;
  return {
    best_single: Math.max(...agents.map((_, place) => solvedBy(() => place))),
    always_first: solvedBy(() => 0),
    round_robin: solvedBy((n) => n),
    random: solvedBy(() => Math.floor(roll() * agents.length)),
  };
}

/** How many tasks are known to the learner before the first pass is looked at. */
export const warmUp = 30;

/** What was solved after the first `warmUp` tasks of the first pass, against the agent that is best on all. */
export function firstPassAfter({ passes, agents }: Course, solved: boolean[]): number {
  const [pass = []] = passes;
  const later = pass.slice(warmUp);
  const ours = solved.slice(warmUp, pass.length).filter(Boolean).length;
  const best = [...agents].sort((a, b) => b.solved.size - a.solved.size)[0];
  return ours / later.filter((task) => best?.solved.has(task)).length;
}
