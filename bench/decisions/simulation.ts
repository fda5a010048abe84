import { AgentSpec, type Standing } from "../../src/contracts/agent.ts";
import type { OrchestratorPolicy } from "../../src/contracts/choice.ts";
import type { Choice, DecisionInputs } from "../../src/contracts/decision.ts";
import type { Intent } from "../../src/contracts/message.ts";
import { choose } from "../../src/rules/choose.ts";
import { learn } from "../../src/rules/outcome.ts";
import type { Dice } from "../chaos/dice.ts";

/** An agent of a simulation. */
export type Player = { id: string; usd?: number };

/** A decision of a simulation. `player` is the place of the chosen one. */
export type Decided = { inputs: DecisionInputs; choice: Choice; player: number };

/**
 * Agents without a record, and the rules that choose among them and learn from how it ended: what the orchestrator does,
 * without the bus. A decision every ten seconds.
 */
export function simulate(players: Player[], policy: OrchestratorPolicy, roll: Dice) {
  const agents = players.map(standingOf);
  const turns = new Map<Intent, number>();
  const latest = new Map<number, Standing["stats"]>();
  let seconds = 0;

  function decide(intent: Intent, inFlight?: () => number): Decided {
    seconds += 10;
    const inputs: DecisionInputs = {
      at: new Date(Date.UTC(2030, 0, 1) + seconds * 1000).toISOString(),
      role: "executor.execute",
      tenant: "local",
      intent,
      capabilities: [],
      language: null,
      sticky_key: `local/${seconds}`,
      draw: roll(),
      tried: [],
      memory: policy.memory,
      rule: policy.default,
      agents: agents.map((agent, n) => ({ ...agent, in_flight: inFlight?.() ?? 0, stats: latest.get(n) ?? [] })),
    };
    const choice = choose(inputs);
    return { inputs, choice, player: players.findIndex(({ id }) => id === choice.chosen?.agent_id) };
  }

  function end({ inputs: { intent, at }, player }: Decided, good: boolean): void {
    const turn = 1 + (turns.get(intent) ?? 0);
    turns.set(intent, turn);
    const stats = latest.get(player) ?? [];
    const known = stats.find((one) => one.intent === intent) ?? null;
    const learnt = learn(known, intent, { good, latencyMs: 1000, at: new Date(at), turn }, policy.memory);
    latest.set(player, [...stats.filter((one) => one !== known), learnt]);
  }

  return { decide, end };
}

function standingOf({ id, usd = 0 }: Player): Standing {
  const { reach, ...spec } = AgentSpec.parse({
    id,
    version: "1",
    intents: ["code.generate", "code.buildtest", "rag.answer"],
    reach: { kind: "builtin", role: "codegen.generate" },
    capacity: 4,
    price: { per_call_usd: usd },
  });
  return { ...spec, paused: null, silent_ms: 0, in_flight: 0, circuit: null, barred: null, stats: [] };
}

/** The same in another order (Fisher & Yates). */
export function shuffled<Item>(items: readonly Item[], roll: Dice): Item[] {
  const drawn = items.map((item) => ({ item, place: roll() }));
  return drawn.sort((a, b) => a.place - b.place).map(({ item }) => item);
}
