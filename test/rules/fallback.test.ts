import { expect, test } from "vitest";
import { Failure, type FailureCode } from "../../src/contracts/failure.ts";
import type { Assignment } from "../../src/contracts/message.ts";
import { fallbackFor } from "../../src/rules/fallback.ts";

const work = { prompt: "", workspace: {}, language: null, build: null, test: null, max_rounds: 1, grounding: [] };
const assignment = (left: number): Assignment => ({
  agent_id: "steady",
  agent_version: "1",
  canary: false,
  model: null,
  budget: { max_cost_usd: null, max_tokens: null },
  ttl_ms: null,
  fallback: { of: "7", left, failed: [{ agent_id: "first", agent_version: "2", code: "agent_failed", message: "no" }] },
});
const next = (code: FailureCode, given: Assignment | null = assignment(2)) =>
  fallbackFor({ assignment: given, payload: { work } }, new Failure(code, "it hung up"));

test("another agent is asked for when one has failed for good, and told who failed before", () => {
  expect(next("agent_failed")).toEqual({
    to: "orchestrator.decide",
    assignment: null,
    key: "fallback-of-7",
    payload: {
      role: "executor.execute",
      work,
      fallback: {
        of: "7",
        left: 1,
        failed: [
          { agent_id: "first", agent_version: "2", code: "agent_failed", message: "no" },
          { agent_id: "steady", agent_version: "1", code: "agent_failed", message: "it hung up" },
        ],
      },
    },
  });
});

test.each<[string, FailureCode, Assignment | null | undefined]>([
  ["the caller is to blame", "nothing_to_test", undefined],
  ["the system is to blame", "sandbox_unavailable", undefined],
  ["the budget is spent", "budget_spent", undefined],
  ["nobody more may be asked", "agent_failed", assignment(0)],
  ["the policy says nothing of it", "agent_failed", { ...assignment(1), fallback: null }],
  ["nobody was chosen", "agent_failed", null],
])("nobody else is asked when %s", (_, code, given) => {
  expect(next(code, given)).toBeNull();
});
