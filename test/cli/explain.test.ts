import { expect, test } from "vitest";
import { explained } from "../../src/cli/explain.ts";
import type { DecisionView } from "../../src/contracts/orchestrator.ts";
import { decide } from "../../src/rules/decide.ts";
import { shipped, standing, stats, steady } from "../support/agents.ts";

const work = { prompt: "", workspace: {}, language: null, build: null, test: null, max_rounds: 1, grounding: [] };

function view(agents: Parameters<typeof standing>[0][], rest: Partial<DecisionView> = {}): DecisionView {
  const asked = {
    request: { role: "executor.execute", work },
    tenant: "acme",
    intent: "code.buildtest" as const,
    key: "order-1",
  };
  const policy = { ...shipped, default: { ...shipped.default, exploration: { share: 0, optimism: 0 } } };
  const decision = decide(asked, { agents: agents.map(standing), at: new Date("2030-01-01T00:00:00Z") }, policy);
  if (decision.chosen === null) throw new Error("somebody is able");
  return {
    id: "7",
    trace_id: "8a1f3c52-0c5e-4a53-9e0c-000000000001",
    tenant: "acme",
    intent: "code.buildtest",
    at: "2030-01-01T00:00:00.000Z",
    decision,
    fallback_of: null,
    shadow_of: null,
    end: null,
    ...rest,
  };
}

const known = { stats: [stats(90, 10)] };

test("says who won, every term of it, what the others lacked and why the rest could not", () => {
  const text = explained(
    view([{ ...known }, { id: "poor", stats: [stats(10, 90)] }, { id: "asleep", silent_ms: 60_000 }], {
      end: {
        at: "2030-01-01T00:00:02.000Z",
        outcome: "bad",
        code: "never_green",
        latency_ms: 1500,
        tokens: 12,
        cost_usd: 0.25,
      },
    }),
  );

  expect(text).toContain("decision 7  executor.execute for code.buildtest, tenant acme");
  expect(text).toMatch(/chosen {2}steady 1: best score 0\.\d\d of 2 able agents/);
  expect(text).toContain("ended   badly, and the agent is to blame (never_green) after 1.5 s, 0.25 USD");
  expect(text).toMatch(/→ 0\.\d{3} {2}steady 1\n {9}\+0\.\d\d success 0\.\d\d ± 0\.\d\d over 100 /);
  expect(text).toMatch(/ {2}0\.\d{3} {2}poor 1 {2}−0\.\d{3} against steady 1: success −0\.\d{3}/);
  expect(text).toContain("who could not, and why\n  asleep 1: it has been silent for 60 s");
});

test("says that two are as good, and that nothing has ended yet", () => {
  const text = explained(view([{}, { id: "twin" }]));

  expect(text).toContain("twin 1  as good as steady 1, which comes first by name");
  expect(text).toContain("its chance to be chosen was 0.0 %");
  expect(text).toContain("ended   not yet");
});

test("says that a canary came by its draw and in whose place, and measures the others against that one", () => {
  const text = explained(
    view([{ ...known }, { id: "bold", canary_of: steady, canary_pct: 100 }, { id: "poor", stats: [stats(1, 99)] }]),
  );

  expect(text).toContain("bold 1: drawn as the canary of steady 1");
  expect(text).toContain("bold 1 canary in the place of steady 1");
  expect(text).toMatch(/poor 1 {2}−0\.\d{3} against steady 1/);
  expect(text).toContain("steady 1: its canary bold 1 takes this key");
});

test("says whom the chosen one stands in for", () => {
  const one = view([{ id: "second" }]);
  const fallback = { of: "6", failed: steady, failure: { code: "agent_failed", message: "it hung up" } };

  expect(explained({ ...one, decision: { ...one.decision, fallback } })).toContain(
    "instead of steady 1 (decision 6), which failed for good: agent_failed, it hung up",
  );
});
