import { describe, expect, test } from "vitest";
import { waterfall } from "../../src/cli/waterfall.ts";
import type { EventView, TraceAnswer } from "../../src/contracts/http.ts";

const at = (ms: number) => new Date(Date.parse("2030-01-01T00:00:00Z") + ms).toISOString();
const event = (kind: string, message_id: string, ms: number, details = {}): EventView => ({
  id: String(ms + 1),
  at: at(ms),
  kind,
  service: null,
  role: null,
  shard: 0,
  tenant: "local",
  intent: "code.buildtest",
  trace_id: "8a1f3c52-0c5e-4a53-9e0c-000000000001",
  message_id,
  idempotency_key: "k",
  attempts: 1,
  worker: null,
  agent_id: null,
  agent_version: null,
  canary: false,
  details,
});
const envelope = { parent_id: null, shard: 0, intent: "code.buildtest" as const, attempts: 1, agent_id: null };
const answer: TraceAnswer = {
  trace: {
    trace_id: "8a1f3c52-0c5e-4a53-9e0c-000000000001",
    tenant: "local",
    intent: "code.buildtest",
    idempotency_key: "k",
    traceparent: null,
    status: "done",
    answer: { text: "2 tests passed", verdict: "pass", citations: [], provider: null, replay: false },
    failure: null,
    opened_at: at(0),
    ended_at: at(100),
    waits_for: [],
  },
  messages: [
    {
      ...envelope,
      id: "1",
      service: "orchestrator",
      role: "decide",
      status: "done",
      created_at: at(0),
      ended_at: at(10),
    },
    {
      ...envelope,
      id: "2",
      service: "buildtest",
      role: "run",
      status: "done",
      attempts: 2,
      created_at: at(10),
      ended_at: at(100),
    },
  ],
  events: [
    event("orchestrate_acked", "1", 1),
    event("orchestrate_decision", "1", 9, {
      because: "builder 1: the only able one of 2 considered",
      candidates: [
        { agent_id: "builder", agent_version: "1", score: 0.5, excluded: null },
        { agent_id: "asleep", agent_version: "2", score: 0.9, excluded: "it has been silent for 60 s" },
      ],
    }),
    event("orchestrate_done", "1", 10),
    event("buildtest_acked", "2", 50),
    event("buildtest_done", "2", 100),
  ],
};

test("a waterfall shows who waited, who worked, who won and how it ended", () => {
  const text = waterfall(answer);

  expect(text).toMatch(/orchestrator\.decide +█+ +9 ms +done/);
  expect(text).toMatch(/buildtest\.run +·+█+ +50 ms +done +2 attempts/);
  expect(text).toContain("why builder 1: the only able one of 2 considered");
  expect(text).toMatch(/ {4}builder 1 {2}0\.50\n {4}asleep 2 {2}it has been silent for 60 s\n.*dagent explain/);
  expect(text).toContain("2 tests passed");
});

test("a failed trace shows its code and what to do", () => {
  const failure = { code: "model_not_configured", message: "set MODEL_BASE_URL", details: {} };
  const text = waterfall({ ...answer, trace: { ...answer.trace, status: "failed", answer: null, failure } });

  expect(text).toContain("model_not_configured: set MODEL_BASE_URL");
});

describe("a trace that waits for a person", () => {
  const asked = event("approval_asked", "1", 10, {
    wait_id: "12",
    expires_at: at(90_000),
    asked: { before: "patch" },
  });
  const waits_for = [{ kind: "approval", id: "12", expires_at: at(90_000) }];
  const [first] = answer.messages;
  const messages = first ? [first] : [];
  const open = { ...answer.trace, status: "open" as const, answer: null, ended_at: null };

  test("says so, until when, and what to do", () => {
    const text = waterfall({ trace: { ...open, waits_for }, messages, events: [...answer.events, asked] });

    expect(text).toMatch(/approval 12 +┄+ +90 ms +waiting +before the change is handed out/);
    expect(text).toContain(`waiting for approval 12, until ${at(90_000)}: dagent approvals show 12`);
  });

  test("is as long as it has been waiting so far", () => {
    const trace = { trace: { ...open, waits_for }, messages, events: [...answer.events, asked] };

    expect(waterfall(trace, Date.parse(at(5010)))).toMatch(/approval 12 +┄{30,} +5\.0 s +waiting/);
  });

  test.each([
    ["approval_given", { by: "alice" }, /approval 12 +┄+ +40 ms +given +by alice/],
    ["approval_refused", { by: "bob" }, /approval 12 +┄+ +40 ms +refused +by bob/],
    ["approval_expired", {}, /approval 12 +┄+ +40 ms +expired/],
  ])("shows how long that took: %s", (kind, details, seen) => {
    const end = { ...event(kind, "1", 50, { wait_id: "12", ...details }), message_id: null };

    expect(waterfall({ trace: open, messages, events: [...answer.events, asked, end] })).toMatch(seen);
  });

  test("shows one that was called off", () => {
    const failure = { code: "cancelled", message: "called off", details: {} };
    const trace = { ...open, status: "failed" as const, failure, ended_at: at(60) };

    expect(waterfall({ trace, messages, events: [...answer.events, asked] })).toMatch(
      /approval 12 +┄+ +50 ms +called off/,
    );
  });
});
