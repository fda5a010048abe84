import { setImmediate as breathe } from "node:timers/promises";
import type { OrchestratorPolicy } from "../../src/contracts/choice.ts";
import type { Intent } from "../../src/contracts/message.ts";
import { doublyRobust, type Estimate, inversePropensity, type Logged } from "../../src/rules/offpolicy.ts";
import { imagine } from "../../src/rules/whatif.ts";
import { dice } from "../chaos/dice.ts";
import { judgeGoal } from "../goals.ts";
import { percentile, rounded } from "../numbers.ts";
import type { Part } from "./part.ts";
import { policyHere } from "./policy.ts";
import { simulate } from "./simulation.ts";

const decisions = 2000; // of each log
const share = 0.1; // of them that explore

/** A better agent that costs, and one that does not: how often each does well, by intent. */
const players = [{ id: "costly", usd: 0.1 }, { id: "free" }];
const rates: [Intent, number, number][] = [
  ["code.generate", 0.85, 0.65],
  ["code.buildtest", 0.9, 0.8],
  ["rag.answer", 0.8, 0.7],
];

/** What is asked: what would have come of it if the price had counted most. */
const thrifty = { weights: { price: 60, success: 10 } };

type Run = { truth: number; inverse: Estimate | null; robust: Estimate | null };

/** How near the estimates of what another policy would have reached come to the truth, which is known here. By the rules. */
export const others: Part = {
  name: "off_policy",
  async judge({ seeds, progress, signal }) {
    const shipped = await policyHere();
    const policy = {
      ...shipped,
      default: { ...shipped.default, exploration: { ...shipped.default.exploration, share } },
    };
    const count = Math.ceil(seeds / 5);
    const runs: Run[] = [];
    for (let seed = 1; seed <= count; seed += 1) {
      runs.push(runOf(seed, policy));
      if (seed % 20 > 0) continue;
      signal.throwIfAborted();
      progress(`off_policy: ${seed} of ${count} seeds`);
      await breathe();
    }
    const inverse = accuracy(runs.map(({ truth, inverse: estimate }) => ({ truth, estimate })));
    const robust = accuracy(runs.map(({ truth, robust: estimate }) => ({ truth, estimate })));
    const found = { seeds: count, decisions, exploration: share, inverse_propensity: inverse, doubly_robust: robust };
    return {
      numbers: { off_policy: found },
      goals: [
        judgeGoal({ name: "off-policy error, doubly robust", unit: "(mean, of 1)", most: 0.03 }, robust.mean_error),
        judgeGoal({ name: "off-policy interval covers, doubly robust", unit: "of seeds", least: 0.9 }, robust.covered),
        judgeGoal(
          { name: "off-policy error, inverse propensity", unit: "(mean, of 1)", most: 0.03 },
          inverse.mean_error,
        ),
        judgeGoal(
          { name: "off-policy interval covers, inverse propensity", unit: "of seeds", least: 0.9 },
          inverse.covered,
        ),
      ],
    };
  },
};

function runOf(seed: number, policy: OrchestratorPolicy): Run {
  const roll = dice(`others ${seed}`);
  const { decide, end } = simulate(players, policy, roll);
  const log: Logged[] = [];
  let truth = 0;
  for (let n = 0; n < decisions; n += 1) {
    const [intent, ...successes] = rates[Math.floor(roll() * rates.length)] ?? rates[0] ?? ["code.generate", 0, 0];
    const decided = decide(intent);
    const good = roll() < (successes[decided.player] ?? 0);
    end(decided, good);
    const { choice, inputs } = decided;
    if (!choice.chosen) throw new Error("somebody is always able here");
    const recorded = { chosen: choice.chosen, propensity: choice.propensity, inputs, good };
    const { choice: other, logged } = imagine(recorded, { rule: thrifty, without: [], agents: [] });
    if (logged) log.push(logged);
    for (const { agent_id, propensity } of other.candidates) {
      truth += (propensity * (successes[players.findIndex(({ id }) => id === agent_id)] ?? 0)) / decisions;
    }
  }
  return { truth, inverse: inversePropensity(log), robust: doublyRobust(log) };
}

function accuracy(runs: { truth: number; estimate: Estimate | null }[]) {
  const errors = runs.map(({ truth, estimate }) => Math.abs((estimate?.value ?? 0) - truth));
  const signed = runs.map(({ truth, estimate }) => (estimate?.value ?? 0) - truth);
  const covered = runs.filter(({ truth, estimate }) => estimate && estimate.low <= truth && truth <= estimate.high);
  return {
    mean_error: rounded(errors.reduce((sum, error) => sum + error, 0) / runs.length),
    p90_error: rounded(percentile(errors, 90)),
    bias: rounded(signed.reduce((sum, error) => sum + error, 0) / runs.length),
    covered: rounded(covered.length / runs.length),
  };
}
