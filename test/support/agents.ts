import { readFileSync } from "node:fs";
import { AgentSpec, type AgentStats, type Standing } from "../../src/contracts/agent.ts";
import { OrchestratorPolicy } from "../../src/contracts/choice.ts";
import type { DecisionInputs } from "../../src/contracts/decision.ts";

/** An agent that builds and tests, as somebody would register it. */
export function agentSpec(rest: Partial<AgentSpec> = {}): AgentSpec {
  return AgentSpec.parse({
    id: "steady",
    version: "1",
    intents: ["code.buildtest"],
    reach: { kind: "builtin", role: "buildtest.run" },
    capacity: 2,
    ...rest,
  });
}

/** The same as a decision meets it: just heard from, idle, without a record. */
export function standing(rest: Partial<Standing> = {}): Standing {
  const { reach, ...spec } = agentSpec();
  return { ...spec, paused: null, silent_ms: 100, in_flight: 0, circuit: null, barred: null, stats: [], ...rest };
}

/** What is known of its work for one intent. */
export function stats(good: number, bad: number, rest: Partial<AgentStats> = {}): AgentStats {
  return { intent: "code.buildtest", good, bad, latency_ms: null, at: "2030-01-01T00:00:00.000Z", turn: 0, ...rest };
}

/** The stable that canaries in tests are of. */
export const steady = { agent_id: "steady", agent_version: "1" };

/** The policy as it is shipped. */
export const shipped = OrchestratorPolicy.parse(JSON.parse(readFileSync("configs/orchestrator.json", "utf8")));

/** What a choice between these agents is made of: for code.buildtest of tenant acme, without exploring. */
export function inputs(agents: Standing[], rest: Partial<DecisionInputs> = {}): DecisionInputs {
  return {
    at: "2030-01-01T00:00:00.000Z",
    role: "executor.execute",
    tenant: "acme",
    intent: "code.buildtest",
    capabilities: [],
    language: null,
    sticky_key: "acme/order-1",
    draw: 0,
    tried: [],
    memory: shipped.memory,
    rule: shipped.default,
    agents,
    ...rest,
  };
}
