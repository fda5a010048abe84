import type { AgentStats, Standing } from "../contracts/agent.ts";
import type { Memory } from "../contracts/choice.ts";
import { type Belief, believe, fade, type Tally } from "./beta.ts";

/** What a belief depends on besides the agents. */
export type Asked = { intent: string; at: string; memory: Memory };

/** The most calls that what is known of an agent elsewhere is worth here. */
const mostBorrowed = 8;

/**
 * What is believed of the success rate of each agent for an intent, in the order of the agents.
 *
 * Three levels, each the prior of the next (partial pooling, as in Gelman & Hill 2007, ch. 12, with fixed strengths):
 * what agents for this intent are like, each counting at most once; what this agent does for its other intents and in
 * its other versions, worth at most eight calls; what this version does for this intent. Without any record the belief
 * is Beta(1, 1).
 */
export function beliefsOf(agents: Standing[], asked: Asked): Belief[] {
  const at = Date.parse(asked.at);
  const turns = latestTurns(agents);
  const tally = ({ intent, good, bad, at: then, turn }: AgentStats): Tally => {
    const since = { seconds: (at - Date.parse(then)) / 1000, calls: (turns.get(intent) ?? turn) - turn };
    const left = fade(since, asked.memory);
    return { good: good * left, bad: bad * left };
  };
  const own = agents.map(({ stats }) => sum(stats.filter(({ intent }) => intent === asked.intent).map(tally)));
  const all = agents.map(({ stats }) => sum(stats.map(tally)));
  const common = commonMean(own);
  const family = new Map<string, Tally>();
  agents.forEach(({ id }, n) => {
    family.set(id, sum([family.get(id) ?? nothing, all[n] ?? nothing]));
  });
  return agents.map(({ id }, n) => {
    const mine = own[n] ?? nothing;
    const kin = family.get(id) ?? nothing;
    const elsewhere = { good: Math.max(0, kin.good - mine.good), bad: Math.max(0, kin.bad - mine.bad) };
    const calls = elsewhere.good + elsewhere.bad;
    const mean = believe(elsewhere, { mean: common, strength: 2 }).mean;
    return believe(mine, { mean, strength: 2 + (mostBorrowed * calls) / (calls + 20) });
  });
}

/** How many ends of each intent were counted by now: whoever was counted last knows. */
function latestTurns(agents: Standing[]): Map<string, number> {
  const turns = new Map<string, number>();
  for (const { stats } of agents) {
    for (const { intent, turn } of stats) turns.set(intent, Math.max(turn, turns.get(intent) ?? 0));
  }
  return turns;
}

const nothing: Tally = { good: 0, bad: 0 };

function sum(tallies: Tally[]): Tally {
  let [good, bad] = [0, 0];
  for (const tally of tallies) {
    good += tally.good;
    bad += tally.bad;
  }
  return { good, bad };
}

/** The mean of what agents are like, one half among them: an agent with ten calls weighs half of one with a thousand. */
function commonMean(tallies: Tally[]): number {
  let [weight, weighed] = [2, 1];
  for (const { good, bad } of tallies) {
    const calls = good + bad;
    if (calls === 0) continue;
    const share = calls / (calls + 10);
    weight += share;
    weighed += (share * good) / calls;
  }
  return weighed / weight;
}
