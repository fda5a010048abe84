import type { Agent } from "../contracts/agent.ts";
import type { Memory, OrchestratorPolicy } from "../contracts/choice.ts";
import { learn, type Outcome, outcomeOf } from "../rules/outcome.ts";
import { allAgents, holdRegistry } from "../store/agents.ts";
import type { Database } from "../store/database.ts";
import {
  aloneInSweep,
  type Count,
  countDecisions,
  type Ended,
  endedDecisions,
  type Known,
  keepRecords,
  recordsOf,
} from "../store/ends.ts";
import { observeTrials } from "./trials.ts";

/** One end as it was counted. */
export type CountedEnd = Ended & { outcome: Outcome };

/**
 * Counts the ends of decided work that were not counted yet: how each decision ended, what is known of the agents after
 * it, and what the tests of canaries say, in one transaction. One sweep at a time in all workers; the others answer nothing and try again later.
 */
export async function countEnds(
  sql: Database,
  { memory, canary, limit = 500 }: Pick<OrchestratorPolicy, "memory" | "canary"> & { limit?: number },
): Promise<CountedEnd[]> {
  return sql.begin(async (tx) => {
    if (!(await aloneInSweep(tx))) return [];
    const ended = await endedDecisions(tx, limit);
    if (ended.length === 0) return [];
    const counted = ended.map((one) => ({ ...one, outcome: outcomeOf(endingOf(one), one.intent) }));
    await holdRegistry(tx);
    const agents = await allAgents(tx);
    await countDecisions(
      tx,
      counted.map((one) => countOf(one, agents)),
    );
    const intents = [...new Set(counted.map(({ intent }) => intent))];
    await keepRecords(tx, learnt(await recordsOf(tx, intents), counted, memory));
    await observeTrials(tx, { ends: counted, agents, plan: canary });
    return counted;
  });
}

function endingOf({ answer, failure }: Ended) {
  return answer ? { answer } : { code: failure?.code ?? "internal" };
}

function countOf(end: CountedEnd, agents: Agent[]): Count {
  const { id, ended_at, outcome, failure, tokens } = end;
  const agent = agents.find((one) => one.id === end.agent_id && one.version === end.agent_version);
  const price = agent?.price;
  return {
    id,
    ended_at,
    outcome,
    code: failure?.code ?? null,
    latency_ms: latencyOf(end),
    tokens,
    cost_usd: end.cost_usd ?? (price ? price.per_call_usd + ((tokens ?? 0) / 1000) * price.per_1k_tokens_usd : null),
  };
}

/** What the agent took: a person who was asked in between is not its time. */
function latencyOf({ at, ended_at, waited_ms }: Ended): number {
  return Math.max(0, ended_at.getTime() - at.getTime() - waited_ms);
}

/** The records that these ends change, each agent and intent once. */
function learnt(known: Known[], counted: CountedEnd[], memory: Memory): Known[] {
  const records = new Map(known.map((record) => [keyOf(record), record]));
  const changed = new Map<string, Known>();
  const turns = new Map<string, number>();
  for (const { intent, turn } of known) turns.set(intent, Math.max(turn, turns.get(intent) ?? 0));
  for (const end of counted) {
    if (end.outcome === "void" || end.fallback_of !== null) continue; // what another failed at is harder than other work
    const turn = 1 + (turns.get(end.intent) ?? 0);
    turns.set(end.intent, turn);
    const { agent_id, agent_version, intent, ended_at: at } = end;
    const one = { good: end.outcome === "good", latencyMs: latencyOf(end), at, turn };
    const before = changed.get(keyOf(end)) ?? records.get(keyOf(end)) ?? null;
    changed.set(keyOf(end), { ...learn(before, intent, one, memory), agent_id, agent_version });
  }
  return [...changed.values()];
}

function keyOf({ agent_id, agent_version, intent }: Pick<Known, "agent_id" | "agent_version" | "intent">): string {
  return `${agent_id} ${agent_version} ${intent}`;
}
