import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { countEnds } from "../../../src/ops/ends.ts";
import { compareShadows } from "../../../src/ops/shadows.ts";
import { nobodyIsAsked } from "../../../src/rules/approval.ts";
import { decideBy } from "../../../src/services/orchestrator/decide.ts";
import { putAgent as register } from "../../../src/store/agents.ts";
import { eventsOf } from "../../../src/store/events.ts";
import { shipped, steady } from "../../support/agents.ts";
import { type Behaviour, ended, openPlay, player } from "../../support/play.ts";
import { message, openWorld, type World } from "../../support/world.ts";

const work = { prompt: "", workspace: {}, language: null, build: null, test: null, max_rounds: 1, grounding: [] };

describe("a shadow", () => {
  let world: World;
  let play: Awaited<ReturnType<typeof openPlay>>;
  let behave: Behaviour;
  beforeAll(async () => {
    world = await openWorld();
    play = await openPlay(world, { behave: (...asked) => behave(...asked), policy: () => shipped });
  });
  beforeEach(async () => {
    await world.sql`delete from registry_decisions`;
    await world.sql`delete from registry_agents`;
    await register(world.sql, player());
    await register(world.sql, player({ id: "bold", canary_of: steady, canary_pct: 100, mode: "shadow" }));
  });
  afterAll(async () => {
    await play?.stop();
    await world?.close();
  });

  /** Asks, and waits until the copy has ended too. */
  async function ask() {
    const asked = await play.ask();
    const [{ trace_id } = { trace_id: "" }] = await world.sql<{ trace_id: string }[]>`
      select trace_id from bus_messages where service = 'orchestrator' and role = 'shadow' order by id desc limit 1`;
    await ended(world, trace_id);
    await countEnds(world.sql, shipped);
    return { ...asked, shadowTrace: trace_id };
  }

  test("gets a copy; its answer is kept and compared, and never returned", async () => {
    behave = (agentId) => (agentId === "bold" ? "another answer" : "the answer");

    const { trace, decisions, traceId, shadowTrace } = await ask();
    const compared = await compareShadows(world.sql);

    expect(trace).toMatchObject({ status: "done", answer: { text: "the answer" } });
    expect(decisions).toMatchObject([{ agent_id: "steady", record: { shadow: { agent_id: "bold" } } }]);
    expect(shadowTrace).not.toBe(traceId);
    expect(compared).toMatchObject([
      {
        decision_id: decisions[0]?.id,
        shadow: { agent_id: "bold", agent_version: "1" },
        shadow_trace_id: shadowTrace,
        same_outcome: true,
        same_verdict: true,
        same_text: false,
        returned: { text: "the answer" },
        kept: { text: "another answer" },
      },
    ]);
    const told = (await eventsOf(world.sql, traceId)).filter(({ kind }) => kind === "shadow_compared");
    expect(told).toMatchObject([{ details: { same_text: false, same_outcome: true, shadow_trace_id: shadowTrace } }]);
    expect(JSON.stringify(told)).not.toContain("another answer");
    expect(await compareShadows(world.sql)).toEqual([]);
  });

  test("that fails, fails alone, and nobody stands in for it", async () => {
    behave = (agentId) => (agentId === "bold" ? { code: "agent_failed" } : "the answer");

    const { trace, decisions } = await ask();

    expect(trace).toMatchObject({ status: "done", answer: { text: "the answer" } });
    expect(decisions).toHaveLength(1);
    expect(await compareShadows(world.sql)).toMatchObject([
      {
        same_outcome: false,
        returned: { outcome: "good" },
        kept: { outcome: "bad", code: "agent_failed", text: null },
      },
    ]);
  });

  test("gets a copy once, however often the decision is tried", async () => {
    behave = () => "the answer";
    const decide = decideBy(() => shipped);
    const request = message({ role: "executor.execute", work }, { id: "42", intent: "code.generate" });
    const copies = async () => (await world.sql`select from bus_messages where role = 'shadow'`).length;
    const before = await copies();

    await decide.handle(request, world.tools);
    await decide.handle({ ...request, attempts: 2 }, world.tools);

    expect(await copies()).toBe(before + 1);
  });

  test.each(["before_execution", "before_patch", "always"] as const)(
    "gets no copy of work that must be approved %s: nobody was asked about that",
    async (ask) => {
      const approvals = { ...nobodyIsAsked, default: { ...nobodyIsAsked.default, ask } };
      const decide = decideBy(
        () => shipped,
        () => approvals,
      );
      const id = String(100 + ask.length);
      const request = message({ role: "executor.execute", work }, { id, intent: "code.generate" });
      const copies = async () => (await world.sql`select from bus_messages where role = 'shadow'`).length;
      const before = await copies();
      world.recorded.splice(0);

      await decide.handle(request, world.tools);

      expect(await copies()).toBe(before);
      expect(world.recorded).toContainEqual({
        kind: "shadow_refused",
        data: { agent_id: "bold", agent_version: "1", reason: "the work needs approval" },
      });
    },
  );

  test("without a share gets nothing", async () => {
    behave = () => "the answer";
    await world.sql`update registry_agents set canary_pct = 0 where id = 'bold'`;

    const { decisions } = await play.ask();

    expect(decisions[0]?.record.shadow).toBeNull();
  });
});
