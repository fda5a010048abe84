import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { OrchestratorPolicy } from "../../src/contracts/choice.ts";
import { KeyCreated, Problem } from "../../src/contracts/http.ts";
import { DryRun, WhatIf } from "../../src/contracts/orchestrator.ts";
import { decideBy } from "../../src/services/orchestrator/decide.ts";
import { register } from "../../src/store/agents.ts";
import { countDecisions } from "../../src/store/ends.ts";
import { agentSpec, shipped } from "../support/agents.ts";
import { message } from "../support/world.ts";
import { type Door, openDoor, post } from "./door.ts";

const admin = { "x-admin-token": "secret" };
const policy: OrchestratorPolicy = {
  ...shipped,
  default: { ...shipped.default, exploration: { share: 0.2, optimism: 0 } },
};
const work = { prompt: "", workspace: {}, language: null, build: null, test: null, max_rounds: 1, grounding: [] };

describe("what would be decided", () => {
  let door: Door;
  let acme: { authorization: string };
  beforeAll(async () => {
    door = await openDoor({ adminToken: "secret", orchestrator: () => policy });
    const made = await post(`${door.url}/api/keys`, { name: "a", kind: "tenant", tenant: "acme" }, admin);
    acme = { authorization: `Bearer ${KeyCreated.parse(await made.json()).key}` };
  });
  beforeEach(async () => {
    await door.world.sql`delete from registry_decisions`;
    await door.world.sql`delete from registry_agents`;
    await register(door.world.sql, agentSpec());
    await register(door.world.sql, agentSpec({ id: "dear", price: { per_call_usd: 5, per_1k_tokens_usd: 0 } }));
  });
  afterAll(() => door.close());

  const dry = async (body: unknown, headers: Record<string, string> = admin) =>
    post(`${door.url}/api/orchestrator/decide`, body, headers);
  const whatIf = (body: unknown, headers: Record<string, string> = admin) =>
    post(`${door.url}/api/orchestrator/what-if`, body, headers);
  const answered = async (body: unknown) => WhatIf.parse(await (await whatIf(body)).json());

  /** Decisions as the service makes them, each with an end: `dear` is always good, `steady` every second time. */
  async function record(count: number): Promise<void> {
    const decide = decideBy(() => policy);
    for (let n = 1; n <= count; n += 1) {
      const asked = message(
        { role: "executor.execute", work },
        { id: String(n), intent: "code.buildtest", idempotencyKey: `order-${n}` },
      );
      const { result } = await decide.handle(asked, door.world.tools);
      const good = result.chosen.agent_id === "dear" || n % 2 === 0;
      await countDecisions(door.world.sql, [
        {
          id: String(n),
          outcome: good ? "good" : "bad",
          code: null,
          latency_ms: 100,
          tokens: null,
          cost_usd: 0,
          ended_at: new Date(),
        },
      ]);
    }
  }

  describe("now", () => {
    test("is answered with every reason, and nothing is kept", async () => {
      const reply = await dry({ intent: "code.buildtest", key: "order-1" });

      expect(reply.status).toBe(200);
      const { would, refusal, key } = DryRun.parse(await reply.json());
      expect([key, refusal]).toEqual(["order-1", null]);
      expect(would?.candidates.map(({ agent_id }) => agent_id).sort()).toEqual(["dear", "steady"]);
      expect(await door.world.sql`select from registry_decisions`).toHaveLength(0);
      expect(await door.world.sql`select from bus_messages`).toHaveLength(0);
    });

    test("is what the service then chooses for the same key", async () => {
      const { would } = DryRun.parse(await (await dry({ intent: "code.buildtest", key: "order-1" })).json());
      await record(1);

      const [row] = await door.world.sql<
        { agent_id: string; propensity: number }[]
      >`select agent_id, propensity from registry_decisions`;
      expect(row).toEqual({ agent_id: would?.chosen.agent_id, propensity: would?.propensity });
    });

    test("says what the refusal would be when nobody is able", async () => {
      const { would, refusal } = DryRun.parse(await (await dry({ intent: "code.generate" })).json());

      expect(would).toBeNull();
      expect(refusal).toMatchObject({ code: "model_not_configured" });
      expect(refusal?.candidates.map(({ exclusion }) => exclusion)).toEqual(["intent", "intent"]);
    });

    test("is for the tenant of the key, who does not learn who else there is", async () => {
      await register(door.world.sql, agentSpec({ id: "theirs", tenants: ["globex", "initech"] }));
      await register(door.world.sql, agentSpec({ id: "ours", tenants: ["acme", "globex"] }));

      const text = await (await dry({ intent: "code.buildtest" }, acme)).text();

      const { would } = DryRun.parse(JSON.parse(text));
      expect(would?.inputs.tenant).toBe("acme");
      expect(would?.candidates.find(({ agent_id }) => agent_id === "theirs")?.exclusion).toBe("tenant");
      expect(text).not.toContain("globex");
      expect(text).not.toContain("initech");
    });

    test.each([
      ["an unknown intent", "/intent", "unknown_intent", { intent: "cook" }],
      ["a role that is none", "/role", "invalid_request", { intent: "code.buildtest", role: "executor" }],
      ["a field nobody knows", "/colour", "invalid_request", { intent: "code.buildtest", colour: "red" }],
    ])("refuses %s", async (_, path, code, body) => {
      expect(Problem.parse(await (await dry(body)).json())).toMatchObject({ code, errors: [{ path }] });
    });
  });

  describe("if", () => {
    test("nothing were different: every recorded decision is made again as it was", async () => {
      await record(40);

      const answer = await answered({});

      expect(answer).toMatchObject({ decisions: 40, counted: 40, changed: 0, nobody: 0, examples: [] });
      expect(answer.success.inverse_propensity?.value).toBeCloseTo(answer.success.recorded ?? -1, 9);
    });

    test("other weights held: says who would be chosen, gives examples, and estimates how it would have gone", async () => {
      await record(120);

      const answer = await answered({ rule: { weights: { price: 0 }, prefer: ["dear"], exploration: { share: 0 } } });

      const of = (id: string) => answer.by_agent.find(({ agent_id }) => agent_id === id);
      expect(of("dear")?.would).toBe(120);
      expect(of("steady")).toMatchObject({ would: 0 });
      expect(answer.changed).toBe(of("steady")?.chosen);
      expect(answer.examples).toHaveLength(20);
      expect(answer.examples[0]).toMatchObject({ chosen: { agent_id: "steady" }, would: { agent_id: "dear" } });
      expect(answer.success.inverse_propensity?.value).toBe(1); // dear never failed
      expect(answer.success.recorded).toBeLessThan(0.8);
    });

    test("somebody were not there, or cost something else", async () => {
      await record(20);

      expect(await answered({ without: ["steady"] })).toMatchObject({
        by_agent: expect.arrayContaining([
          { agent_id: "dear", agent_version: "1", chosen: expect.any(Number), would: 20 },
        ]),
      });
      expect((await answered({ without: ["steady", "dear"] })).nobody).toBe(20);
      const free = { agent_id: "dear", price: { per_call_usd: 0 }, tenants: [] };
      expect((await answered({ agents: [free, { agent_id: "steady", enabled: false }] })).nobody).toBe(0);
    });

    test("a whole other file were in force", async () => {
      await record(10);

      const answer = await answered({ policy: { ...shipped, default: { ...shipped.default, forbid: ["steady"] } } });

      expect(answer.by_agent.find(({ agent_id }) => agent_id === "steady")?.would).toBe(0);
    });

    test("reads the latest decisions of the tenant, intent and window that are asked for, in several pages", async () => {
      await record(250);
      await door.world.sql`update registry_decisions set tenant = 'acme' where id % 2 = 0`;
      await door.world.sql`update registry_decisions set at = at - interval '1 hour' where id <= 100`;

      expect(await answered({})).toMatchObject({ decisions: 250 });
      expect(await answered({ limit: 201 })).toMatchObject({ decisions: 201 });
      expect(await answered({ tenant: "acme" })).toMatchObject({ decisions: 125 });
      expect(await answered({ window_s: 600 })).toMatchObject({ decisions: 150 });
      expect(await answered({ intent: "code.generate" })).toMatchObject({ decisions: 0, success: { recorded: null } });
    });

    test.each([
      ["a weight that is not a number", "/rule/weights/success", { rule: { weights: { success: "60" } } }],
      ["a weight below 0", "/rule/weights/price", { rule: { weights: { price: -1 } } }],
      ["a weight nobody knows", "/rule/weights/luck", { rule: { weights: { luck: 1 } } }],
      ["too much exploration", "/rule/exploration/share", { rule: { exploration: { share: 0.9 } } }],
      [
        "half a file",
        "/policy/memory",
        { policy: { canary: shipped.canary, default: shipped.default, overrides: [] } },
      ],
      ["a rule and a file", "/rule", { rule: {}, policy: shipped }],
      ["too many decisions", "/limit", { limit: 1_000_000 }],
      ["an agent without a name", "/agents/0/agent_id", { agents: [{ enabled: false }] }],
    ])("refuses %s, naming %s", async (_, path, body) => {
      const reply = await whatIf(body);

      expect(reply.status).toBe(400);
      expect(Problem.parse(await reply.json()).errors.map((error) => error.path)).toEqual([path]);
    });

    test("is an operator's question", async () => {
      expect((await whatIf({}, {})).status).toBe(401);
      expect((await whatIf({}, acme)).status).toBe(403);
      expect((await dry({ intent: "code.buildtest" }, {})).status).toBe(401);
    });
  });
});
