import { AgentSpec, type Standing } from "../../src/contracts/agent.ts";
import type { DecisionInputs } from "../../src/contracts/decision.ts";
import { score } from "../../src/rules/score.ts";
import { dice } from "../chaos/dice.ts";
import { judgeGoal } from "../goals.ts";
import { percentile, rounded } from "../numbers.ts";
import type { Part } from "./part.ts";
import { policyHere } from "./policy.ts";

const rounds = 200;

/** How long it takes to score 1,000 candidates, with all terms and reasons. */
export const timing: Part = {
  name: "score",
  async judge() {
    const inputs = await thousand();
    for (let n = 0; n < 3 * rounds; n += 1) score(inputs); // until it is compiled
    const times = Array.from({ length: rounds }, () => {
      const began = performance.now();
      score(inputs);
      return performance.now() - began;
    });
    const [p50, p95] = [percentile(times, 50), percentile(times, 95)];
    return {
      numbers: { score_1000_ms: rounded(p50), score_1000_p95_ms: rounded(p95) },
      goals: [judgeGoal({ name: "1,000 candidates are scored", unit: "ms", most: 2 }, p50)],
    };
  },
};

/** A thousand agents with records, every tenth of them excluded, every twentieth a canary. */
async function thousand(): Promise<DecisionInputs> {
  const policy = await policyHere();
  const roll = dice("a thousand");
  const at = "2030-01-01T00:00:00.000Z";
  const agents = Array.from({ length: 1000 }, (_, n): Standing => {
    const { reach, ...spec } = AgentSpec.parse({
      id: `agent-${n}`,
      version: "1",
      intents: ["code.generate", "code.buildtest"],
      reach: { kind: "builtin", role: "codegen.generate" },
      capacity: 4,
      enabled: n % 10 > 0,
      ...(n % 20 === 19 && { canary_of: { agent_id: `agent-${n - 1}`, agent_version: "1" }, canary_pct: 10 }),
    });
    const stats = { good: 50 * roll(), bad: 50 * roll(), latency_ms: 5000 * roll(), at, turn: n };
    return {
      ...spec,
      paused: null,
      silent_ms: 100,
      in_flight: Math.floor(8 * roll()),
      circuit: null,
      barred: null,
      stats: [
        { ...stats, intent: "code.generate" },
        { ...stats, intent: "code.buildtest" },
      ],
    };
  });
  const inputs: DecisionInputs = {
    at,
    role: "executor.execute",
    tenant: "local",
    intent: "code.generate",
    capabilities: [],
    language: "python",
    sticky_key: "local/1",
    draw: 0.5,
    tried: [],
    memory: policy.memory,
    rule: policy.default,
    agents,
  };
  return JSON.parse(JSON.stringify(inputs)); // as rows of the database come: objects of one shape
}
