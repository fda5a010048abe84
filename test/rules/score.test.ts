import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Standing } from "../../src/contracts/agent.ts";
import type { Candidate, DecisionInputs } from "../../src/contracts/decision.ts";
import { score } from "../../src/rules/score.ts";
import { inputs, shipped, standing, stats, steady } from "../support/agents.ts";
import { anyInputs } from "../support/standings.ts";

const judged = (agents: Standing[], rest: Partial<DecisionInputs> = {}) =>
  score(inputs(agents, rest)).judged.map(({ candidate }) => candidate);
const first = (agents: Standing[], rest: Partial<DecisionInputs> = {}) => judged(agents, rest)[0];
const rule = (rest: Partial<DecisionInputs["rule"]>) => ({ rule: { ...shipped.default, ...rest } });
const since = "2030-01-01T14:03:07.000Z";

describe("the score of candidates", () => {
  test("prefers the agent with the better record, and says what that is worth", () => {
    const ranked = judged([
      standing({ id: "poor", stats: [stats(20, 80)] }),
      standing({ id: "good", stats: [stats(390, 22)] }),
    ]);

    expect(ranked.map(({ agent_id }) => agent_id)).toEqual(["good", "poor"]);
    expect(ranked[0]?.reasons[0]).toBe("+0.57 success 0.94 ± 0.01 over 412 attempts");
  });

  test("trusts what it knows little of beforehand, and less the more it knows", () => {
    const curiosity = (good: number, bad: number) =>
      first([standing({ stats: [stats(good, bad)] })])?.terms.curiosity ?? 0;

    expect(curiosity(0, 0)).toBeGreaterThan(curiosity(5, 5));
    expect(curiosity(5, 5)).toBeGreaterThan(curiosity(500, 500));
  });

  test.each([
    ["the idle one", { in_flight: 2 }, {}],
    ["the cheap one", { price: { per_call_usd: 0, per_1k_tokens_usd: 0.1 } }, {}],
    ["the fast one", { stats: [stats(9, 1, { latency_ms: 60_000 })] }, { stats: [stats(9, 1, { latency_ms: 500 })] }],
    [
      "the one whose circuit is closed",
      { circuit: { key: "executor.execute.2", state: "half_open" as const, since } },
      {},
    ],
    ["the one that is kept for the tenant", {}, { tenants: ["acme"] }],
  ])("prefers %s of two equals", (_, worse, better) => {
    expect(first([standing({ id: "a", ...worse }), standing({ id: "b", ...better })])?.agent_id).toBe("b");
  });

  test("prefers whom the policy prefers, and whoever is made for the language", () => {
    expect(first([standing({ id: "a" }), standing({ id: "b" })], rule({ prefer: ["b"] }))?.agent_id).toBe("b");
    const agents = [standing({ id: "a" }), standing({ id: "b", languages: ["python"] })];
    expect(first(agents, { language: "python" })?.agent_id).toBe("b");
  });

  test.each<[string, string, Partial<Standing>, Partial<DecisionInputs>]>([
    ["disabled", "it is disabled", { enabled: false }, {}],
    [
      "paused",
      "it was paused by sequential test at 14:03",
      { paused: { at: since, by: "sequential test", evidence: {} } },
      { at: "2030-01-01T15:00:00.000Z" },
    ],
    ["shadow", "it is a shadow: it works on copies only", { mode: "shadow" }, {}],
    ["intent", "it does not do code.buildtest", { intents: ["code.generate"] }, {}],
    ["capability", "it is not known for ada, fortran", {}, { capabilities: ["ada", "fortran"] }],
    ["language", "it does not know python", { languages: ["node"] }, { language: "python" }],
    ["tenant", "it does not work for tenant acme", { tenants: ["globex"] }, {}],
    ["forbidden", "the policy forbids it for acme and code.buildtest", {}, rule({ forbid: ["steady"] })],
    ["address", "its address may not be called: 10.0.0.1 is private", { barred: "10.0.0.1 is private" }, {}],
    ["tried", "it was tried before and failed at this work", {}, { tried: [steady] }],
    ["silent", "it has been silent for 11 s", { silent_ms: 11_000 }, {}],
    [
      "circuit",
      "circuit open on executor.execute.2 since 14:03",
      { circuit: { key: "executor.execute.2", state: "open", since } },
      { at: "2030-01-01T15:00:00.000Z" },
    ],
    [
      "price",
      "a call costs about 0.2 USD, and 0.1 are allowed",
      { price: { per_call_usd: 0.2, per_1k_tokens_usd: 0 } },
      rule({ max_usd_per_call: 0.1 }),
    ],
    ["load", "it has 4 in hand and takes 2 at a time", { in_flight: 4 }, rule({ max_load: 2 })],
  ])("excludes an agent and says why: %s", (exclusion, why, rest, asked) => {
    const candidate = first([standing(rest)], asked);

    expect(candidate).toMatchObject({ exclusion, excluded: why });
    expect(candidate?.reasons[0]).toBe(`excluded: ${why}`);
    expect(candidate?.score).toBeGreaterThan(0);
  });

  test("names the day when a circuit opened on another", () => {
    const circuit = { key: "executor.execute.2", state: "open" as const, since };

    expect(first([standing({ circuit })], { at: "2030-01-02T00:00:00.000Z" })?.excluded).toContain("2030-01-01 14:03");
  });

  test("is the sum of its terms, between 0 and 1, for any standings, of the excluded too", () => {
    fc.assert(
      fc.property(anyInputs(), (any) => {
        for (const { score: total, terms, reasons } of judged(any.agents, any)) {
          const shares = Object.values(terms);
          expect(Math.abs(shares.reduce((a, b) => a + b, 0) - total)).toBeLessThan(1e-9);
          expect(total).toBeGreaterThanOrEqual(0);
          expect(total).toBeLessThanOrEqual(1);
          expect(reasons.length).toBeGreaterThanOrEqual(shares.filter((share) => share > 0).length);
        }
      }),
    );
  });

  test("does not depend on the order in which agents are registered", () => {
    const names = (list: Candidate[]) => list.map(({ agent_id, agent_version }) => `${agent_id} ${agent_version}`);
    fc.assert(
      fc.property(anyInputs(), (any) => {
        expect(names(judged(any.agents.toReversed(), any))).toEqual(names(judged(any.agents, any)));
      }),
    );
  });
});
