import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { OrchestratorPolicy } from "../../src/contracts/choice.ts";
import { Decision } from "../../src/contracts/decision.ts";
import { countEnds } from "../../src/ops/ends.ts";
import { replay } from "../../src/rules/replay.ts";
import { pauseAgent, putAgent as register } from "../../src/store/agents.ts";
import { beginTrial, trials } from "../../src/store/canaries.ts";
import { knownAgents } from "../../src/store/standings.ts";
import { shipped, steady } from "../support/agents.ts";
import { type Behaviour, openPlay, player } from "../support/play.ts";
import { openWorld, type World } from "../support/world.ts";

const bold = { agent_id: "bold", agent_version: "1" };

describe("a canary under test", () => {
  let world: World;
  let play: Awaited<ReturnType<typeof openPlay>>;
  let behave: Behaviour;
  let policy: OrchestratorPolicy;
  beforeAll(async () => {
    world = await openWorld();
    play = await openPlay(world, { behave: (...asked) => behave(...asked), policy: () => policy });
  });
  beforeEach(async () => {
    policy = { ...shipped, canary: { ...shipped.canary, planned_calls: 10, margin: 0.4 } };
    await world.sql`delete from registry_decisions`;
    await world.sql`delete from registry_agents`;
    await register(world.sql, player());
    await register(world.sql, player({ id: "bold", canary_of: steady, canary_pct: 50 }));
    await beginTrial(world.sql, bold);
  });
  afterAll(async () => {
    await play?.stop();
    await world?.close();
  });

  const agent = async (id: string) => (await knownAgents(world.sql, { id, serviceRole: null }))[0];
  const told = async (...kinds: string[]) =>
    world.sql<{ kind: string; details: Record<string, unknown> }[]>`
      select kind, details from bus_events where kind = any (${kinds}) order by id`;

  /** Asks `count` times, ten at a time, and lets the test see each ten. */
  async function ask(count: number): Promise<void> {
    for (let n = 0; n < count; n += 10) {
      await Promise.all(Array.from({ length: 10 }, () => play.ask()));
      while ((await countEnds(world.sql, policy)).length > 0);
    }
  }

  test("that is worse is paused by it with the evidence and an alert, and gets no work from then on", async () => {
    behave = (id) => (id === "bold" ? { code: "agent_failed" } : "done");

    await ask(60);

    expect((await agent("bold"))?.paused).toMatchObject({
      by: "sequential test",
      evidence: { verdict: "worse", canary: { success: 0 }, stable: { success: 1 } },
    });
    const [paused, alert, ...more] = await told("canary_paused", "alert_raised");
    expect(more).toEqual([]);
    expect(paused).toMatchObject({
      kind: "canary_paused",
      details: { ...bold, stable: steady, by: "sequential test", evidence: { verdict: "worse" } },
    });
    expect(alert).toMatchObject({ kind: "alert_raised", details: { alert: "canary_paused", key: "canary.bold.1" } });
    expect(
      (await play.ask()).decisions[0]?.record.candidates.find(({ agent_id }) => agent_id === "bold")?.exclusion,
    ).toBe("paused");
  });

  test("that is not worse after its planned calls is ready, and said to be so once", async () => {
    behave = () => "done";

    await ask(60);

    expect((await trials(world.sql))[0]).toMatchObject({ ...bold, verdict: "not_worse" });
    expect(await told("canary_ready", "canary_promoted")).toMatchObject([{ kind: "canary_ready", details: bold }]);
    expect(await agent("bold")).toMatchObject({ canary_of: steady, paused: null });
    await world.sql`delete from bus_facts where kind = 'canary_ready'`;
  });

  test("takes its stable's place by itself when the plan says so", async () => {
    behave = () => "done";
    policy = { ...policy, canary: { ...policy.canary, promote: "by_itself" } };

    await ask(60);

    expect(await agent("bold")).toMatchObject({ canary_of: null, canary_pct: 0, enabled: true });
    expect(await agent("steady")).toMatchObject({ enabled: false });
    expect(await trials(world.sql)).toEqual([]);
    expect(await told("canary_promoted")).toMatchObject([
      { details: { ...bold, stable: steady, by: "sequential test", evidence: { verdict: "not_worse" } } },
    ]);
  });

  test("is not judged by what nobody is to blame for, nor by what was decided before it began", async () => {
    behave = (id) => (id === "bold" ? { code: "sandbox_unavailable" } : "done");
    await ask(20);
    behave = (id) => (id === "bold" ? { code: "agent_failed" } : "done");
    await Promise.all(Array.from({ length: 20 }, () => play.ask()));
    await beginTrial(world.sql, bold);
    while ((await countEnds(world.sql, policy)).length > 0);

    const [trial] = await trials(world.sql);
    expect(trial?.state.seen.canary).toEqual({ good: 0, bad: 0 });
    expect(trial?.state.open.canary).toEqual({ good: 0, bad: 0 });
  });

  test("that was paused by somebody is left alone", async () => {
    behave = (id) => (id === "bold" ? { code: "agent_failed" } : "done");
    const asked = Promise.all(Array.from({ length: 30 }, () => play.ask()));
    await asked;
    await pauseAgent(world.sql, bold, { by: "an operator", evidence: { reason: "lunch" } });
    while ((await countEnds(world.sql, policy)).length > 0);

    expect((await agent("bold"))?.paused).toMatchObject({ by: "an operator" });
  });

  test("leaves a record of which every decision can be made again", async () => {
    behave = (id, prompt) => (id === "bold" && prompt.length % 2 === 0 ? { code: "agent_failed" } : "done");
    await ask(30);

    const rows = await world.sql<
      { details: unknown }[]
    >`select details from bus_events where kind = 'orchestrate_decision'`;
    expect(rows.length).toBeGreaterThan(100);
    for (const { details } of rows) expect(replay(Decision.parse(details))).toMatchObject({ same: true, differs: [] });
  });
});
