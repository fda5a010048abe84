import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AgentSpec } from "../../../src/contracts/agent.ts";
import type { Assignment } from "../../../src/contracts/message.ts";
import { execute } from "../../../src/services/executor/execute.ts";
import { register } from "../../../src/store/agents.ts";
import { agentSpec } from "../../support/agents.ts";
import { message, openWorld, type World } from "../../support/world.ts";

const work = { prompt: "p", workspace: {}, language: null, build: null, test: null, max_rounds: 1, grounding: [] };
const assignment = (agent_id: string, rest: Partial<Assignment> = {}): Assignment => ({
  agent_id,
  agent_version: "1",
  canary: false,
  model: null,
  budget: { max_cost_usd: null, max_tokens: null },
  ttl_ms: null,
  ...rest,
});
const agent = (rest: Partial<AgentSpec>) => agentSpec({ id: "builder", ...rest });

const modelOf = (model: string) => ({ kind: "openai" as const, model, base_url: null, api_key: null });

describe("executor.execute", () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
    await register(world.sql, agent({}));
    await register(world.sql, agent({ id: "coder", reach: modelOf("some-model") }));
    await register(world.sql, agent({ id: "off", enabled: false }));
  });
  afterAll(() => world.close());

  const carryOut = (given: Assignment | null, rest = {}) =>
    execute.handle(message({ work }, { assignment: given, ...rest }), world.tools);

  test("reaches a builtin agent through its role", async () => {
    const { result, next } = await carryOut(assignment("builder"));

    expect(result).toMatchObject({ agent_id: "builder", to: "buildtest.run" });
    expect(next).toEqual([{ to: "buildtest.run", payload: { work, written: null } }]);
  });

  test("says who has the work, and how he is reached", async () => {
    const told: unknown[] = [];
    await execute.handle(message({ work }, { assignment: assignment("coder") }), {
      ...world.tools,
      record: (kind, details) => void told.push({ kind, ...details }),
    });

    expect(told).toEqual([
      {
        kind: "execute_status",
        text: "coder 1 has the work, by openai",
        agent_id: "coder",
        agent_version: "1",
        reach: "openai",
        to: "codegen.generate",
      },
    ]);
  });

  test("reaches a model through codegen", async () => {
    const { next } = await carryOut(assignment("coder"));

    expect(next).toEqual([{ to: "codegen.generate", payload: { work, rounds: null } }]);
  });

  test("refuses work that comes later than its assignment was good for", async () => {
    const createdAt = new Date(world.now.getTime() - 6000);

    await expect(carryOut(assignment("builder", { ttl_ms: 5000 }), { createdAt })).rejects.toMatchObject({
      code: "expired",
    });
  });

  test("what follows lives as long as the assignment, and never longer than the request", async () => {
    const createdAt = new Date(world.now.getTime() - 2000);
    const ttlOf = async (rest: object) =>
      (await carryOut(assignment("builder", { ttl_ms: 5000 }), { createdAt, ...rest })).next?.[0]?.ttlMs;
    expect(await ttlOf({})).toBe(3000);
    expect(await ttlOf({ expiresAt: new Date(world.now.getTime() + 1000) })).toBe(1000);
    expect(await ttlOf({ expiresAt: new Date(world.now.getTime() + 9000) })).toBe(3000);
  });

  test.each(["nobody", "off"])("does not reach an agent that is gone or disabled: %s", async (id) => {
    await expect(carryOut(assignment(id))).rejects.toMatchObject({ code: "agent_failed" });
  });

  test("does not guess who should do what was assigned to nobody", async () => {
    await expect(carryOut(null)).rejects.toMatchObject({ code: "invalid_message", retry: false });
  });

  test("spends nothing on an assignment that does not say how much may be spent", async () => {
    const { budget, ...rest } = assignment("builder");

    await expect(carryOut(rest as Assignment)).rejects.toMatchObject({
      code: "invalid_message",
      message: expect.stringContaining("budget"),
    });
  });
});
