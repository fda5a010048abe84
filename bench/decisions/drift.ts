import { setImmediate as breathe } from "node:timers/promises";
import type { OrchestratorPolicy } from "../../src/contracts/choice.ts";
import { dice } from "../chaos/dice.ts";
import { rounded } from "../numbers.ts";
import type { Part } from "./part.ts";
import { policyHere } from "./policy.ts";
import { simulate } from "./simulation.ts";

const stretch = 500; // decisions in each state of the world

/** The success rates of four agents: the best falls ill, and recovers. */
const world = {
  well: [0.9, 0.75, 0.6, 0.4],
  ill: [0.3, 0.75, 0.6, 0.4],
  recovered: [0.9, 0.75, 0.6, 0.4],
};
type State = keyof typeof world;
const states: State[] = ["well", "ill", "recovered"];

/** Whom each state's last hundred decisions chose, and the decisions until the right agent had most of twenty. */
type Run = Record<State, { success: number; settled: number | null }>;

/** Agents that degrade and recover: how much is lost, and how soon the right one is chosen again. By the rules. */
export const drift: Part = {
  name: "drift",
  async judge({ seeds, progress, signal }) {
    const policy = await policyHere();
    const runs: Run[] = [];
    const count = Math.ceil(seeds / 5);
    for (let seed = 1; seed <= count; seed += 1) {
      runs.push(runOf(seed, policy));
      if (seed % 20 > 0) continue;
      signal.throwIfAborted();
      progress(`drift: ${seed} of ${count} seeds`);
      await breathe();
    }
    const of = (state: State) => ({
      success: mean(runs.map((run) => run[state].success)),
      best_possible: Math.max(...world[state]),
      right_agent_after: mean(runs.flatMap((run) => run[state].settled ?? [])),
      never_found: runs.filter((run) => run[state].settled === null).length / runs.length,
    });
    const all = mean(runs.map((run) => states.reduce((sum, state) => sum + run[state].success, 0) / states.length));
    const single = Math.max(...world.well.map((_, n) => mean(states.map((state) => world[state][n] ?? 0))));
    const random = mean(states.flatMap((state) => world[state]));
    return {
      numbers: {
        drift: {
          seeds: count,
          decisions_each: stretch,
          well: of("well"),
          ill: of("ill"),
          recovered: of("recovered"),
          success: {
            ours: all,
            best_single: single,
            random,
            best_possible: mean(states.map((state) => Math.max(...world[state]))),
          },
        },
      },
      goals: [],
    };
  },
};

function runOf(seed: number, policy: OrchestratorPolicy): Run {
  const roll = dice(`drift ${seed}`);
  const { decide, end } = simulate(
    world.well.map((_, n) => ({ id: `agent-${n + 1}` })),
    policy,
    roll,
  );
  const live = (state: State) => {
    const best = world[state].indexOf(Math.max(...world[state]));
    let [well, settled] = [0, null as number | null];
    const latest: boolean[] = [];
    for (let n = 1; n <= stretch; n += 1) {
      const decided = decide("code.generate");
      const good = roll() < (world[state][decided.player] ?? 0);
      end(decided, good);
      if (good) well += 1;
      latest.push(decided.player === best);
      if (latest.length > 20) latest.shift();
      if (latest.filter(Boolean).length > 10) settled ??= n;
    }
    return { success: well / stretch, settled };
  };
  return { well: live("well"), ill: live("ill"), recovered: live("recovered") };
}

function mean(values: number[]): number {
  return values.length === 0 ? 0 : rounded(values.reduce((sum, value) => sum + value, 0) / values.length);
}
