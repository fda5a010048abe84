import type { Decision } from "../../src/contracts/decision.ts";
import type { Sql } from "../../src/store/database.ts";
import { type DecisionDraft, keepDecision } from "../../src/store/decisions.ts";
import { inputs } from "./agents.ts";

/** Keeps a decision for `steady` in version 1, as orchestrator.decide would. */
export async function decided(
  sql: Sql,
  draft: Partial<DecisionDraft> & { id: string; trace_id: string },
): Promise<void> {
  const { agent_id = "steady", agent_version = "1", canary = false } = draft;
  const record: Decision = {
    recipe: "1",
    role: "executor.execute",
    chosen: { agent_id, agent_version, canary },
    because: "it is a test",
    explored: false,
    propensity: 1,
    canary_draws: {},
    weights_hash: "fixed",
    candidates: [],
    fallback: null,
    shadow: null,
    inputs: inputs([]),
  };
  await keepDecision(sql, {
    root_id: draft.id,
    tenant: "local",
    intent: "code.generate",
    service_role: "executor.execute",
    agent_id,
    agent_version,
    canary,
    explored: false,
    propensity: 1,
    weights_hash: "fixed",
    fallback_of: null,
    shadow_of: null,
    record,
    ...draft,
  });
}
