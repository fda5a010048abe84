import type { Standing } from "../contracts/agent.ts";
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
  const tallies = talliesOf(agents, asked);
  const common = commonMean(tallies);
  const families = new Map<string, Tally>();
  tallies.forEach(({ all }, n) => {
    const id = agents[n]?.id ?? "";
    const known = families.get(id);
    families.set(id, known ? { good: known.good + all.good, bad: known.bad + all.bad } : all);
  });
  return tallies.map(({ own }, n) => {
    const family = families.get(agents[n]?.id ?? "") ?? own;
    const elsewhere = { good: Math.max(0, family.good - own.good), bad: Math.max(0, family.bad - own.bad) };
    const calls = elsewhere.good + elsewhere.bad;
    const { mean } = believe(elsewhere, { mean: common, strength: 2 });
    return believe(own, { mean, strength: 2 + (mostBorrowed * calls) / (calls + 20) });
  });
}

/** The ends of an agent that are remembered by now: of the intent asked for, and of all. */
type Tallies = { own: Tally; all: Tally };

function talliesOf(agents: Standing[], { intent, at, memory }: Asked): Tallies[] {
  const now = secondsOf(at);
  const turns = latestTurns(agents);
  return agents.map(({ stats }) => {
    let own = nothing;
    const all = { good: 0, bad: 0 };
    for (const known of stats) {
      const calls = (turns.get(known.intent) ?? known.turn) - known.turn;
      const left = fade({ seconds: now - secondsOf(known.at), calls }, memory);
      const tally = { good: known.good * left, bad: known.bad * left };
      if (known.intent === intent) own = tally;
      all.good += tally.good;
      all.bad += tally.bad;
    }
    return { own, all };
  });
}

/** Whole seconds of a time in UTC. As Date.parse, three times as fast: a choice among many reads thousands. */
function secondsOf(at: string): number {
  const two = (from: number) => 10 * at.charCodeAt(from) + at.charCodeAt(from + 1) - 11 * 48;
  return Date.UTC(100 * two(0) + two(2), two(5) - 1, two(8), two(11), two(14), two(17)) / 1000;
}

/** How many ends of each intent were counted by now: whoever was counted last knows. */
function latestTurns(agents: Standing[]): Map<string, number> {
  const turns = new Map<string, number>();
  for (const { stats } of agents) {
    for (const { intent, turn } of stats) {
      const known = turns.get(intent);
      if (known === undefined || turn > known) turns.set(intent, turn);
    }
  }
  return turns;
}

const nothing: Tally = { good: 0, bad: 0 };

/** The mean of what agents are like, one half among them: an agent with ten calls weighs half of one with a thousand. */
function commonMean(tallies: Tallies[]): number {
  let [weight, weighed] = [2, 1];
  for (const { own } of tallies) {
    const calls = own.good + own.bad;
    if (calls === 0) continue;
    const share = calls / (calls + 10);
    weight += share;
    weighed += (share * own.good) / calls;
  }
  return weighed / weight;
}
