import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { publish } from "../../src/bus/publish.ts";
import { settleDone, settleFailed } from "../../src/bus/settle.ts";
import { Failure, type FailureCode } from "../../src/contracts/failure.ts";
import type { Intent } from "../../src/contracts/message.ts";
import { countEnds } from "../../src/ops/ends.ts";
import { register } from "../../src/store/agents.ts";
import { decisionOf } from "../../src/store/decisions.ts";
import { forgetDecisions } from "../../src/store/ends.ts";
import { standings } from "../../src/store/standings.ts";
import { answer, take } from "../gateway/door.ts";
import { agentSpec, shipped } from "../support/agents.ts";
import { decided } from "../support/decisions.ts";
import { openWorld, type World } from "../support/world.ts";

describe("the ends of decided work", () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
  });
  beforeEach(async () => {
    await world.sql`delete from registry_decisions`;
    await world.sql`delete from registry_agents`;
    await register(world.sql, agentSpec({ price: { per_call_usd: 0.5, per_1k_tokens_usd: 2 } }));
  });
  afterAll(() => world.close());

  /** Work that was decided for `steady`; answers its decision's id and how to end it. */
  async function work(intent: Intent = "code.generate") {
    const traceId = randomUUID();
    const request = { to: "executor.execute", tenant: "local", intent, payload: {}, idempotencyKey: traceId };
    await publish(world.sql, { ...request, traceId, traceparent: null });
    const message = await take(world, "executor.execute");
    await decided(world.sql, { id: message.id, trace_id: traceId, intent });
    const end = { staged: [], records: [] };
    return {
      id: message.id,
      done: (verdict: "pass" | "fail" | null = null) =>
        settleDone(world.settling, message, { ...end, outcome: { result: {}, answer: { ...answer, verdict } } }),
      failed: (code: FailureCode) =>
        settleFailed({ ...world.settling, policy: () => once }, message, { ...end, thrown: new Failure(code, "no") }),
    };
  }
  const once = { default: { max_attempts: 1, base_ms: 0, factor: 1, cap_ms: 0, jitter: 0 }, keys: {} };
  const { memory, canary } = shipped;
  const policy = { memory: { ...memory, half_life_calls: 100_000 }, canary };
  const sweep = () => countEnds(world.sql, policy);
  const known = async () => (await standings(world.sql, "executor.execute")).agents.find(({ id }) => id === "steady");

  test("are counted once, with what they took and cost", async () => {
    const one = await work();
    expect(await known()).toMatchObject({ in_flight: 1, stats: [] });
    expect(await sweep()).toEqual([]);
    await one.done();

    expect(await sweep()).toMatchObject([{ id: one.id, outcome: "good" }]);
    expect(await sweep()).toEqual([]);

    expect(await known()).toMatchObject({ in_flight: 0, stats: [{ intent: "code.generate", good: 1, bad: 0 }] });
    const kept = await decisionOf(world.sql, one.id, "local");
    expect(kept).toMatchObject({ outcome: "good", code: null, tokens: null, cost_usd: 0.5 });
    expect(kept?.latency_ms).toBeGreaterThanOrEqual(0);
  });

  test.each<[string, FailureCode, string]>([
    ["the agent is to blame", "agent_failed", "bad"],
    ["its code is never green", "never_green", "bad"],
    ["the caller is", "nothing_to_test", "void"],
    ["the system is", "sandbox_unavailable", "void"],
  ])("count against the agent only when it is to blame: %s", async (_, code, outcome) => {
    const one = await work();
    await one.failed(code);

    expect(await sweep()).toMatchObject([{ outcome }]);
    expect((await known())?.stats.length).toBe(outcome === "bad" ? 1 : 0);
    expect(await decisionOf(world.sql, one.id, "local")).toMatchObject({ outcome, code });
  });

  test("a red verdict counts against who wrote the code, not against who tested it", async () => {
    await (await work("code.buildtest")).done("fail");
    await (await work("code.generate")).done("fail");

    expect((await sweep()).map(({ intent, outcome }) => [intent, outcome])).toEqual([
      ["code.buildtest", "good"],
      ["code.generate", "bad"],
    ]);
  });

  test("of many at once are all in the record, whoever sweeps", async () => {
    for (let n = 0; n < 12; n += 1) await (n % 3 === 0 ? (await work()).failed("agent_failed") : (await work()).done());

    const swept = await Promise.all([sweep(), sweep(), sweep()]);
    const rest = await sweep();

    expect([...swept.flat(), ...rest]).toHaveLength(12);
    const [stats] = (await known())?.stats ?? [];
    expect(stats?.good).toBeCloseTo(8, 2);
    expect(stats?.bad).toBeCloseTo(4, 2);
  });

  test("of an agent that was removed are counted without a record", async () => {
    const one = await work();
    await world.sql`delete from registry_agents`;
    await one.done();

    expect(await sweep()).toHaveLength(1);
    expect(await decisionOf(world.sql, one.id, "local")).toMatchObject({ outcome: "good", cost_usd: null });
  });

  test("are forgotten when they are too old, the oldest first, whatever followed from them", async () => {
    const [old, later] = [await work(), await work()];
    await world.sql`update registry_decisions set at = at - interval '2 days' where id = ${old.id}`;
    await world.sql`update registry_decisions set fallback_of = ${old.id} where id = ${later.id}`;
    const forget = () => forgetDecisions(world.sql, { keepMs: 86_400_000, limit: 10 });

    expect([await forget(), await forget()]).toEqual([1, 0]);
    expect(await decisionOf(world.sql, later.id, "local")).toMatchObject({ fallback_of: old.id });
  });
});
