import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { OrchestratorPolicy } from "../../../src/contracts/choice.ts";
import { countEnds } from "../../../src/ops/ends.ts";
import { putAgent as register } from "../../../src/store/agents.ts";
import { standings } from "../../../src/store/standings.ts";
import { shipped, steady } from "../../support/agents.ts";
import { type Behaviour, openPlay, player } from "../../support/play.ts";
import { openWorld, type World } from "../../support/world.ts";

describe("an agent that fails for good", () => {
  let world: World;
  let play: Awaited<ReturnType<typeof openPlay>>;
  let behave: Behaviour;
  let policy: OrchestratorPolicy;
  beforeAll(async () => {
    world = await openWorld();
    play = await openPlay(world, { behave: (...asked) => behave(...asked), policy: () => policy });
  });
  beforeEach(async () => {
    policy = { ...shipped, default: { ...shipped.default, exploration: { share: 0, optimism: 0 }, fallbacks: 2 } };
    behave = (agentId) => (agentId === "steady" ? { code: "agent_failed" } : `${agentId} did it`);
    await world.sql`delete from registry_decisions`;
    await world.sql`delete from registry_agents`;
    await register(world.sql, player());
    await world.sql`
      insert into registry_stats (agent_id, agent_version, intent, good, bad, at)
      values ('steady', '1', 'code.generate', 90, 10, bus_now())`;
  });
  afterAll(async () => {
    await play?.stop();
    await world?.close();
  });

  test("is followed by the next best, and both decisions say so", async () => {
    await register(world.sql, player({ id: "second" }));

    const { trace, decisions, events } = await play.ask();

    expect(trace).toMatchObject({ status: "done", answer: { text: "second did it" } });
    const [first, next] = decisions;
    expect(decisions.map(({ agent_id, fallback_of }) => [agent_id, fallback_of])).toEqual([
      ["steady", null],
      ["second", first?.id],
    ]);
    expect(next?.record).toMatchObject({
      because: "second 1: the only able one of 2 considered",
      fallback: { of: first?.id, failed: steady, failure: { code: "agent_failed", message: "it hung up" } },
    });
    expect(next?.record.candidates.find(({ agent_id }) => agent_id === "steady")).toMatchObject({ exclusion: "tried" });
    expect(events.filter(({ kind }) => kind === "orchestrate_decision")).toHaveLength(2);
  });

  test("is to blame for it, and the one that stood in is not judged by what was harder than other work", async () => {
    await register(world.sql, player({ id: "second" }));
    await play.ask();

    await countEnds(world.sql, shipped);

    const { agents } = await standings(world.sql, "executor.execute");
    const known = (id: string) => agents.find((agent) => agent.id === id)?.stats[0];
    expect(known("second")).toBeUndefined();
    expect(known("steady")?.bad).toBeGreaterThan(10.9);
  });

  test("is followed by as many as the policy says, and then its failure is the trace's", async () => {
    behave = () => ({ code: "agent_failed" });
    for (const id of ["second", "third", "fourth"]) await register(world.sql, player({ id }));

    const { trace, decisions } = await play.ask();

    expect(decisions).toHaveLength(3);
    expect(new Set(decisions.map(({ agent_id }) => agent_id)).size).toBe(3);
    expect(trace).toMatchObject({ status: "failed", failure: { code: "agent_failed", message: "it hung up" } });
  });

  test("is followed by nobody when the policy says so, or when there is nobody else", async () => {
    const alone = await play.ask();
    await register(world.sql, player({ id: "second" }));
    policy = { ...policy, overrides: [{ tenant: "local", fallbacks: 0 }] };
    const forbidden = await play.ask();

    for (const { trace, decisions } of [alone, forbidden]) {
      expect(decisions).toHaveLength(1);
      expect(trace).toMatchObject({ status: "failed", failure: { code: "agent_failed" } });
    }
  });

  test("when the one that was to stand in is gone meanwhile, its own failure is told", async () => {
    await register(world.sql, player({ id: "second" }));
    behave = async () => {
      await world.sql`update registry_agents set enabled = false where id = 'second'`;
      return { code: "model_refused" };
    };

    const { trace } = await play.ask();

    expect(trace?.failure).toMatchObject({ code: "model_refused", message: "it hung up; nobody else is able" });
  });

  test("a canary that fails is followed by its stable", async () => {
    await register(world.sql, player({ id: "bold", canary_of: steady, canary_pct: 100 }));
    behave = (agentId) => (agentId === "bold" ? { code: "agent_failed" } : "steady did it");

    const { trace, decisions } = await play.ask();

    expect(decisions.map(({ agent_id, canary }) => [agent_id, canary])).toEqual([
      ["bold", true],
      ["steady", false],
    ]);
    expect(trace?.answer?.text).toBe("steady did it");
  });

  test("what the caller is to blame for is nobody else's work", async () => {
    await register(world.sql, player({ id: "second" }));
    behave = () => ({ code: "nothing_to_test" });

    const { trace, decisions } = await play.ask();

    expect(decisions).toHaveLength(1);
    expect(trace?.failure?.code).toBe("nothing_to_test");
  });
});
