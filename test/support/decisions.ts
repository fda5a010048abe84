import type { Decision } from "../../src/contracts/decision.ts";
import type { Sql } from "../../src/store/database.ts";
import { type DecisionDraft, keepDecision } from "../../src/store/decisions.ts";

/** Keeps a decision for `steady` in version 1, as orchestrator.decide would. */
export async function decided(
  sql: Sql,
  draft: Partial<DecisionDraft> & { id: string; trace_id: string },
): Promise<void> {
  const { agent_id = "steady", agent_version = "1", canary = false } = draft;
  const record: Decision = {
    role: "executor.execute",
    chosen: { agent_id, agent_version, canary },
    bucket: 0,
    candidates: [],
    because: "it is a test",
  };
  await keepDecision(sql, {
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
