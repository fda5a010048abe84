import { expect, test } from "vitest";
import { approvalRow, approvalText } from "../../src/cli/approval.ts";
import type { ApprovalView } from "../../src/contracts/approval.ts";

const opened = Date.parse("2030-01-01T00:00:00Z");
const view: ApprovalView = {
  id: "12",
  tenant: "acme",
  trace_id: "8a1f3c52-0c5e-4a53-9e0c-000000000001",
  state: "waiting",
  asked: {
    before: "execution",
    intent: "code.generate",
    agent: {
      agent_id: "fixer",
      agent_version: "2",
      canary: true,
      model: "m-1",
      because: "fixer 2: the best of 3",
      decision_id: "7",
    },
    request: {
      text: "Write a clock\nthat ticks",
      cut: true,
      language: null,
      build: null,
      test: "make test",
      max_rounds: 3,
    },
    workspace: { files: 4, bytes: 1234, patch_bytes: 0 },
    estimate: { cost_usd: 0.75, tokens: 6000, calls: 3 },
    patch: null,
  },
  opened_at: new Date(opened).toISOString(),
  expires_at: new Date(opened + 60_000).toISOString(),
  answered: null,
  may_answer: { kinds: ["operator"], names: ["alice"] },
  links: { trace: "/t", decision: "/d", artifacts: "/a" },
};

test("an approval shows all that somebody who answers must know, and the two answers", () => {
  const text = approvalText(view, opened + 30_000);

  for (const said of [
    "waiting, 30.0 s left, before an agent gets the work",
    "tenant acme",
    "Write a clock\n            that ticks … (there is more)",
    "test: make test",
    "4 files, 1234 bytes",
    "fixer 2 (a canary), model m-1",
    "fixer 2: the best of 3",
    "0.75 USD, 6000 tokens, 3 calls at most",
    "operator keys named alice",
    "dagent approvals approve 12",
    'dagent approvals refuse 12 --reason "…"',
  ]) {
    expect(text).toContain(said);
  }
  expect(approvalRow(view, opened)).toEqual([
    "12",
    "waiting, 60.0 s left",
    "acme",
    "execution",
    "code.generate",
    "fixer 2",
    "0.75 USD",
    "Write a clock that ticks",
  ]);
});

test("an answered one says by whom and why, and offers no answer; a change shows its files and tests", () => {
  const patch = {
    summary: "It ticks.",
    files: [{ path: "clock.js", added: 12, removed: 3 }],
    tests: { passed: 4, failed: 0, skipped: 0 },
    rounds: 2,
    provider: "cassette hand-written",
    replay: true,
    tokens: 99,
  };
  const answered = { at: view.opened_at, by: "alice", decision: "refuse" as const, reason: "too loud" };
  const text = approvalText(
    { ...view, state: "refused", answered, asked: { ...view.asked, before: "patch", patch } },
    opened,
  );

  expect(text).toContain(`refused by alice at ${view.opened_at}: too loud`);
  expect(text).toContain("green after 2 rounds, 4 tests passed; written by cassette hand-written (a replay");
  expect(text).toContain("+12 -3  clock.js");
  expect(text).not.toContain("dagent approvals approve");
});
