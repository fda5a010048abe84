import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { refuserBy } from "../../../src/app/outbound.ts";
import { explained } from "../../../src/cli/explain.ts";
import { type AgentSpec, Reach } from "../../../src/contracts/agent.ts";
import type { ChoiceRule } from "../../../src/contracts/choice.ts";
import { type DecideRequest, Decision, type Exclusion } from "../../../src/contracts/decision.ts";
import { replay } from "../../../src/rules/replay.ts";
import { decideBy } from "../../../src/services/orchestrator/decide.ts";
import { pauseAgent, register } from "../../../src/store/agents.ts";
import { laneOf, setCircuit } from "../../../src/store/circuits.ts";
import type { Database } from "../../../src/store/database.ts";
import { declareRoles } from "../../../src/store/lanes.ts";
import { agentSpec, shipped, steady } from "../../support/agents.ts";
import { message, openWorld, type World } from "../../support/world.ts";

const work = { prompt: "", workspace: {}, language: null, build: null, test: null, max_rounds: 1, grounding: [] };
const failed = [{ ...steady, code: "agent_failed", message: "it hung up" }];
const python = "python" as const;

type Case = {
  agent?: Partial<AgentSpec>; // how `steady` is registered
  rule?: Partial<ChoiceRule>;
  request?: Partial<DecideRequest>;
  happens?: (world: World) => Promise<unknown>; // what happens to it after that
  words: string;
};

/** How it comes that `steady` cannot be chosen while `other` can: through the store and the service, not the rule alone. */
const cases: Partial<Record<Exclusion, Case>> = {
  disabled: { agent: { enabled: false }, words: "it is disabled" },
  intent: { agent: { intents: ["code.generate"] }, words: "it does not do code.buildtest" },
  tenant: { agent: { tenants: ["acme"] }, words: "it does not work for tenant local" },
  capability: { request: { work: { ...work, capabilities: ["refactor"] } }, words: "it is not known for refactor" },
  language: {
    agent: { languages: ["node"] },
    request: { work: { ...work, language: python } },
    words: "it does not know python",
  },
  forbidden: { rule: { forbid: ["steady"] }, words: "the policy forbids it" },
  price: {
    agent: { price: { per_call_usd: 3, per_1k_tokens_usd: 0 } },
    rule: { max_usd_per_call: 1 },
    words: "a call costs about 3 USD, and 1 are allowed",
  },
  paused: {
    happens: ({ sql }) => pauseAgent(sql, steady, { by: "the sequential test", evidence: {} }),
    words: "it was paused by the sequential test",
  },
  silent: {
    happens: ({ sql }) =>
      sql`update registry_agents set heartbeat_at = bus_now() - interval '11 seconds' where id = 'steady'`,
    words: "it has been silent for 11 s",
  },
  load: {
    agent: { capacity: 1 },
    rule: { max_load: 1 },
    happens: ({ sql }) => sql`
      insert into registry_decisions (id, trace_id, tenant, intent, service_role, agent_id, agent_version, canary, explored,
                                      propensity, weights_hash, record)
      values (1, gen_random_uuid(), 'local', 'code.buildtest', 'executor.execute', 'steady', '1', false, false, 1, '', '{}')`,
    words: "it has 1 in hand and takes 1 at a time",
  },
  shadow: {
    agent: { canary_of: { agent_id: "other", agent_version: "1" }, canary_pct: 100, mode: "shadow" },
    words: "it is a shadow",
  },
  rest: {
    agent: { canary_of: { agent_id: "other", agent_version: "1" }, canary_pct: 0 },
    words: "a canary at rest",
  },
  canary: {
    happens: ({ sql }) => register(sql, agentSpec({ id: "bold", canary_of: steady, canary_pct: 100 })),
    words: "its canary bold 1 takes this key",
  },
  circuit: {
    happens: ({ sql }) => openCircuit(sql, "play.work"),
    agent: { reach: { kind: "builtin", role: "play.work" } },
    words: "circuit open on play.work.",
  },
  address: {
    agent: { reach: Reach.parse({ kind: "http", url: "http://10.0.0.1/run" }) },
    words: "its address may not be called: 10.0.0.1 is a private address",
  },
  tried: { request: { fallback: { of: "1", left: 0, failed } }, words: "it was tried before and failed" },
};

const refusesAddress = refuserBy(() => ({ private_addresses: "forbid", except: [] }));

describe("an agent that cannot be chosen", () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
  });
  beforeEach(async () => {
    await world.sql`delete from registry_decisions`;
    await world.sql`delete from registry_agents`;
    await register(world.sql, agentSpec({ id: "other", capabilities: ["refactor"] }));
    world.recorded.length = 0;
  });
  afterAll(() => world.close());

  test.each(Object.entries(cases))("is excluded as %s, with words a person understands", async (exclusion, given) => {
    const { agent, rule, request, happens, words } = given;
    await register(world.sql, agentSpec(agent));
    await happens?.(world);
    if (request?.fallback) await decidedBefore(world);
    const policy = { ...shipped, default: { ...shipped.default, ...rule } };
    const asked = message({ role: "executor.execute", work, ...request }, { id: "7", intent: "code.buildtest" });

    await decideBy(() => policy, undefined, refusesAddress).handle(asked, world.tools);

    const decision = Decision.parse(world.recorded.find(({ kind }) => kind === "orchestrate_decision")?.data);
    const steadys = decision.candidates.find(({ agent_id }) => agent_id === "steady");
    expect(steadys).toMatchObject({ exclusion, propensity: 0 });
    expect(steadys?.excluded).toContain(words);
    expect(steadys?.reasons[0]).toBe(`excluded: ${steadys?.excluded}`);
    expect(decision.chosen.agent_id).not.toBe("steady");
    expect(replay(JSON.parse(JSON.stringify(decision)))).toMatchObject({ same: true, differs: [] });
    const view = { id: "7", trace_id: asked.traceId, tenant: "local", intent: asked.intent, at: decision.inputs.at };
    const text = explained({ ...view, decision, fallback_of: null, shadow_of: null, end: null });
    expect(text).toContain(`steady 1: ${steadys?.excluded}`);
  });

  test("every reason is met above", () => {
    const met = new Set(Object.keys(cases));
    expect(Decision.shape.candidates.element.shape.exclusion.unwrap().options.filter((one) => !met.has(one))).toEqual(
      [],
    );
  });

  test("is named with its reason when nobody is able, and the work is tried again", async () => {
    await world.sql`delete from registry_agents`;
    await register(world.sql, agentSpec({ enabled: false }));
    await register(world.sql, agentSpec({ id: "sleepy" }));
    await world.sql`update registry_agents set heartbeat_at = bus_now() - interval '1 minute' where id = 'sleepy'`;
    const asked = message({ role: "executor.execute", work }, { id: "7", intent: "code.buildtest" });

    await expect(decideBy(() => shipped).handle(asked, world.tools)).rejects.toMatchObject({
      code: "no_candidate",
      retry: true,
      message: expect.stringMatching(
        /steady 1: it is disabled.*sleepy 1: it has been silent for 60 s|sleepy 1: it has been silent for 60 s.*steady 1: it is disabled/,
      ),
      details: {
        candidates: expect.arrayContaining([expect.objectContaining({ agent_id: "steady", exclusion: "disabled" })]),
      },
    });
  });
});

/** Opens the circuits of all lanes of a role. */
async function openCircuit(sql: Database, to: string): Promise<void> {
  await declareRoles(sql, [{ role: to, shards: 4, ordered: false }]);
  for (let shard = 0; shard < 4; shard += 1) {
    const lane = await laneOf(sql, `${to}.${shard}`);
    if (lane === null) throw new Error(`there is no lane ${to}.${shard}`);
    await setCircuit(sql, { lane, state: "open", because: "it is a test", byHand: true, probes: 0 });
  }
}

/** The decision that chose `steady` first. */
async function decidedBefore({ sql }: World): Promise<void> {
  await sql`
    insert into registry_decisions (id, trace_id, tenant, intent, service_role, agent_id, agent_version, canary, explored,
                                    propensity, weights_hash, record)
    values (1, gen_random_uuid(), 'local', 'code.buildtest', 'executor.execute', 'steady', '1', false, false, 1, '', '{}')`;
}
