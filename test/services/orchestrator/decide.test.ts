import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type DecideRequest, Decision } from "../../../src/contracts/decision.ts";
import type { Message } from "../../../src/contracts/message.ts";
import { decideBy } from "../../../src/services/orchestrator/decide.ts";
import { register } from "../../../src/store/agents.ts";
import { agentSpec as agent, shipped, steady } from "../../support/agents.ts";
import { message, openWorld, type World } from "../../support/world.ts";

const wanted: DecideRequest = {
  role: "executor.execute",
  work: { prompt: "", workspace: {}, language: null, build: null, test: null, max_rounds: 1, grounding: [] },
};
const decide = decideBy(() => shipped);

describe("orchestrator.decide", () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
  });
  beforeEach(() => world.sql`delete from registry_agents`.then(() => void world.recorded.splice(0)));
  afterAll(() => world.close());

  let ids = 0;
  const asked = (rest: Partial<Message> = {}) => {
    ids += 1;
    return message(wanted, { id: String(ids), intent: "code.buildtest", ...rest });
  };

  test("chooses the able agent, assigns the work to it and keeps why", async () => {
    await register(world.sql, agent({}));
    await register(world.sql, agent({ id: "other", intents: ["code.generate"] }));

    const { result, next } = await decide.handle(asked(), world.tools);

    const [told] = world.recorded;
    const decision = Decision.parse(told?.data);
    expect(result).toEqual({ decision_id: String(ids), chosen: decision.chosen, because: decision.because });
    expect(result.because).toBe("steady 1: the only able one of 2 considered");
    expect(decision.candidates.map(({ agent_id, excluded }) => [agent_id, excluded])).toEqual([
      ["steady", null],
      ["other", "it does not do code.buildtest"],
    ]);
    expect(next).toMatchObject([{ to: "executor.execute", assignment: { agent_id: "steady", model: null } }]);
    expect(world.recorded.map(({ kind }) => kind)).toEqual(["orchestrate_decision", "orchestrate_enqueued"]);
    expect(world.recorded[1]?.data).toEqual({ to: "executor.execute", ...result.chosen });
  });

  test("assigns what the work may take, by the rule of its tenant and intent", async () => {
    await register(world.sql, agent({}));
    const assignment = { ttl_ms: 60_000, max_tokens: 5000, max_cost_usd: 0.5 };
    const limits = decideBy(() => ({ ...shipped, overrides: [{ intent: "code.buildtest", assignment }] }));
    const { next } = await limits.handle(asked(), world.tools);
    expect(next).toMatchObject([{ assignment: { ttl_ms: 60_000, budget: { max_tokens: 5000, max_cost_usd: 0.5 } } }]);
    expect((await decide.handle(asked(), world.tools)).next).toMatchObject([
      { assignment: { ttl_ms: null, budget: { max_tokens: null, max_cost_usd: null } } },
    ]);
  });

  test("a message that is tried again meets its first choice, whatever has changed since", async () => {
    await register(world.sql, agent({}));
    const request = asked();
    const first = await decide.handle(request, world.tools);
    await register(world.sql, agent({ id: "better" }));
    await world.sql`update registry_agents set enabled = false where id = 'steady'`;

    const again = await decide.handle({ ...request, attempts: 2 }, world.tools);

    expect(again).toEqual(first);
    expect((await decide.handle(asked(), world.tools)).result.chosen.agent_id).toBe("better");
  });

  test("gives a canary its share: the same draw for the same key", async () => {
    await register(world.sql, agent({}));
    await register(world.sql, agent({ id: "bold", canary_of: steady, canary_pct: 50 }));
    const keys = Array.from({ length: 40 }, (_, n) => `order-${n}`);
    const choose = async (idempotencyKey: string) => {
      return (await decide.handle(asked({ idempotencyKey }), world.tools)).result.chosen.agent_id;
    };

    const once = await Promise.all(keys.map(choose));
    const again = await Promise.all(keys.map(choose));

    expect(again).toEqual(once);
    expect(once.filter((id) => id === "bold").length).toBeGreaterThan(8);
    expect(once.filter((id) => id === "bold").length).toBeLessThan(32);
  });

  test("fails, to be tried again, when all agents have gone silent", async () => {
    await register(world.sql, agent({}));
    await world.moveClock(31);

    await expect(decide.handle(asked(), world.tools)).rejects.toMatchObject({
      code: "no_candidate",
      retry: true,
      details: { candidates: [{ agent_id: "steady", excluded: "it has been silent for 31 s" }] },
    });
  });

  test("names the setting when work needs a model and none is configured", async () => {
    await expect(decide.handle(asked({ intent: "code.generate" }), world.tools)).rejects.toMatchObject({
      code: "model_not_configured",
      message: expect.stringContaining("MODEL_BASE_URL"),
    });
  });
});
