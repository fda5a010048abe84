import type { DecideRequest } from "../contracts/decision.ts";
import { type Failure, failures } from "../contracts/failure.ts";
import type { Assignment } from "../contracts/message.ts";
import type { Work } from "../contracts/work.ts";

/** A message of an agent's work, as far as it matters here. */
export type Assigned = { assignment: Assignment | null; payload: { work: Work } };

/** Whoever spent the budget leaves nothing for another. */
const final = new Set(["budget_spent", "expired", "cancelled"]);

/**
 * What follows when an agent has failed its work for good: the orchestrator is asked for another, when the decision
 * allowed it and the agent is to blame. Null: the trace ends with the failure.
 */
export function fallbackFor(
  { assignment, payload }: Assigned,
  { code, message }: Failure,
): { to: string; payload: DecideRequest; assignment: null; key: string } | null {
  const fallback = assignment?.fallback;
  if (!assignment || !fallback || fallback.left <= 0) return null;
  if (failures[code].blame !== "agent" || final.has(code)) return null;
  const { agent_id, agent_version } = assignment;
  const failed = [...fallback.failed, { agent_id, agent_version, code, message: message.slice(0, 500) }];
  return {
    to: "orchestrator.decide",
    payload: {
      role: "executor.execute",
      work: payload.work,
      fallback: { of: fallback.of, left: fallback.left - 1, failed },
    },
    assignment: null,
    key: `fallback-of-${fallback.of}`,
  };
}
