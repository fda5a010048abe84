import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { KeyCreated, Problem } from "../../src/contracts/http.ts";
import { DecisionList, DecisionView, OrchestratorSummary } from "../../src/contracts/orchestrator.ts";
import { register } from "../../src/store/agents.ts";
import { countDecisions } from "../../src/store/ends.ts";
import { agentSpec, steady } from "../support/agents.ts";
import { decided } from "../support/decisions.ts";
import { type Door, openDoor, post } from "./door.ts";

const admin = { "x-admin-token": "secret" };

describe("what was decided", () => {
  let door: Door;
  let acme: { authorization: string };
  beforeAll(async () => {
    door = await openDoor({ adminToken: "secret" });
    const made = await post(`${door.url}/api/keys`, { name: "a", kind: "tenant", tenant: "acme" }, admin);
    acme = { authorization: `Bearer ${KeyCreated.parse(await made.json()).key}` };
  });
  beforeEach(async () => {
    await door.world.sql`delete from registry_decisions`;
    await door.world.sql`delete from registry_agents`;
  });
  afterAll(() => door.close());

  const get = (path: string, headers: Record<string, string> = admin) => fetch(`${door.url}${path}`, { headers });
  const trace_id = randomUUID();
  const end = (id: string, outcome: "good" | "bad" | "void", latency_ms: number, cost_usd: number | null = null) =>
    countDecisions(door.world.sql, [
      {
        id,
        outcome,
        latency_ms,
        cost_usd,
        tokens: null,
        code: outcome === "good" ? null : "agent_failed",
        ended_at: new Date(),
      },
    ]);

  test("is listed for its trace in order, and one by one, with its end", async () => {
    await decided(door.world.sql, { id: "2", trace_id });
    await decided(door.world.sql, { id: "1", trace_id, canary: true });
    await decided(door.world.sql, { id: "3", trace_id: randomUUID() });
    await end("2", "bad", 1500, 0.25);

    const { decisions } = DecisionList.parse(
      await (await get(`/api/orchestrator/decisions?trace_id=${trace_id}`)).json(),
    );
    const latest = DecisionList.parse(await (await get("/api/orchestrator/decisions?limit=1")).json());
    const one = DecisionView.parse(await (await get("/api/orchestrator/decisions/2")).json());

    expect(decisions.map(({ id }) => id)).toEqual(["1", "2"]);
    expect(latest.decisions.map(({ id }) => id)).toEqual(["3"]);
    expect(one).toMatchObject({
      trace_id,
      tenant: "local",
      end: { outcome: "bad", code: "agent_failed", latency_ms: 1500, cost_usd: 0.25 },
    });
    expect(decisions[0]?.end).toBeNull();
  });

  test("is its tenant's to read, and nobody's without a key", async () => {
    await decided(door.world.sql, { id: "1", trace_id, tenant: "acme" });
    await decided(door.world.sql, { id: "2", trace_id });

    expect((await get("/api/orchestrator/decisions/1", acme)).status).toBe(200);
    expect((await get("/api/orchestrator/decisions/2", acme)).status).toBe(404);
    const { decisions } = DecisionList.parse(
      await (await get(`/api/orchestrator/decisions?trace_id=${trace_id}`, acme)).json(),
    );
    expect(decisions.map(({ id }) => id)).toEqual(["1"]);
    expect((await get("/api/orchestrator/decisions", {})).status).toBe(401);
    expect((await get("/api/orchestrator/decisions/1", {})).status).toBe(401);
    expect((await get("/api/metrics/orchestrator/summary", acme)).status).toBe(403);
    expect((await get("/api/metrics/orchestrator/summary", {})).status).toBe(401);
  });

  test.each([
    ["/api/orchestrator/decisions/one", "/id"],
    ["/api/orchestrator/decisions?trace_id=x", "/trace_id"],
    ["/api/orchestrator/decisions?limit=0", "/limit"],
    ["/api/metrics/orchestrator/summary?window_s=0", "/window_s"],
    ["/api/metrics/orchestrator/summary?tenant=A B", "/tenant"],
  ])("refuses %s, naming %s", async (path, field) => {
    const reply = await get(path);

    expect(reply.status).toBe(400);
    expect(Problem.parse(await reply.json()).errors.map((error) => error.path)).toEqual([field]);
  });

  test("is summed up by intent, tenant, agent and canary, within the window", async () => {
    const { sql } = door.world;
    await register(sql, agentSpec());
    await register(sql, agentSpec({ id: "bold", canary_of: steady, canary_pct: 20 }));
    await decided(sql, { id: "1", trace_id });
    await decided(sql, { id: "2", trace_id, fallback_of: "1" });
    await decided(sql, { id: "3", trace_id, agent_id: "bold", canary: true, tenant: "acme" });
    await decided(sql, { id: "4", trace_id, intent: "code.buildtest", explored: true });
    await decided(sql, { id: "5", trace_id, agent_id: "bold", shadow_of: "4" });
    await end("1", "bad", 300);
    await end("2", "good", 100, 0.5);
    await end("3", "good", 200, 0.25);

    const summary = OrchestratorSummary.parse(await (await get("/api/metrics/orchestrator/summary")).json());

    expect(summary.total).toEqual({
      decisions: 4,
      open: 1,
      good: 2,
      bad: 1,
      void: 0,
      success_rate: 2 / 3,
      latency_ms: { p50: 200, p95: 290 },
      tokens: null,
      cost_usd: 0.75,
      explored_share: 0.25,
      canary_share: 0.25,
      fallbacks: 1,
    });
    expect(summary.by_intent.map(({ intent, decisions }) => [intent, decisions])).toEqual([
      ["code.generate", 3],
      ["code.buildtest", 1],
    ]);
    expect(summary.by_tenant.map(({ tenant, decisions }) => [tenant, decisions])).toEqual([
      ["local", 3],
      ["acme", 1],
    ]);
    expect(summary.by_agent.map(({ agent_id, decisions }) => [agent_id, decisions])).toEqual([
      ["steady", 3],
      ["bold", 1],
    ]);
    expect(summary.canaries).toMatchObject([
      { canary: { agent_id: "bold" }, stable: steady, of_canary: { good: 1, bad: 0 }, of_stable: { good: 1, bad: 1 } },
    ]);
    await sql`update registry_agents set mode = 'shadow' where id = 'bold'`;
    await end("5", "good", 50);
    await sql`update registry_decisions set compared = '{"same_outcome": true, "same_text": false}' where id = 5`;
    const shadowed = OrchestratorSummary.parse(await (await get("/api/metrics/orchestrator/summary")).json());
    expect(shadowed.total.decisions).toBe(4);
    expect(shadowed.canaries).toMatchObject([
      { mode: "shadow", compared: { count: 1, same_outcome: 1, same_text: 0 }, of_canary: { decisions: 1, good: 1 } },
    ]);
    const acmes = OrchestratorSummary.parse(await (await get("/api/metrics/orchestrator/summary?tenant=acme")).json());
    expect(acmes.total).toMatchObject({ decisions: 1, success_rate: 1 });
    await door.world.moveClock(100);
    const later = OrchestratorSummary.parse(await (await get("/api/metrics/orchestrator/summary?window_s=60")).json());
    expect(later.total).toMatchObject({ decisions: 0, success_rate: null, latency_ms: null });
  });
});
