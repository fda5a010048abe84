import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import type { Outside } from "../../../src/contracts/outside.ts";
import { generate } from "../../../src/services/codegen/generate.ts";
import { execute } from "../../../src/services/executor/execute.ts";
import { register } from "../../../src/store/agents.ts";
import { eventsOf } from "../../../src/store/events.ts";
import { traceOf } from "../../../src/store/traces.ts";
import { agentSpec } from "../../support/agents.ts";
import { handler, openCrew } from "../../support/crew.ts";
import { change, outside as reached, serveWeb } from "../../support/outside.ts";
import { openWorld, type World } from "../../support/world.ts";

const work = { prompt: "p", workspace: {}, language: null, build: null, test: "true", max_rounds: 1, grounding: [] };
const estimate = { cost_usd: 0, tokens: 10, seconds: 1 };
const open = { cost_usd: null, tokens: null, seconds: null };

describe("an agent outside that misbehaves, over HTTP and a real worker", () => {
  let world: World;
  let crew: ReturnType<typeof openCrew>;
  let server: { url: string; close(): Promise<void> };
  let answers: () => Promise<Response> = async () => new Response("");
  let asked = 0;
  beforeAll(async () => {
    world = await openWorld();
    crew = openCrew(world);
    server = await serveWeb(() => {
      asked += 1;
      return answers();
    });
    await register(
      world.sql,
      agentSpec({
        id: "outer",
        intents: ["code.generate"],
        reach: { kind: "http", url: server.url, secret: null, timeout_ms: 60_000, probe: null },
      }),
    );
  });
  beforeEach(async () => {
    asked = 0;
    await world.sql.unsafe("truncate budget_accounts, budget_reservations");
  });
  afterEach(() => crew.stop());
  afterAll(async () => {
    await server.close();
    await world.close();
  });

  async function begin(ttl_ms: number | null, agent_id = "outer"): Promise<string> {
    const assignment = {
      agent_id,
      agent_version: "1",
      canary: false,
      model: null,
      budget: { max_cost_usd: null, max_tokens: null },
      ttl_ms,
    };
    const assigns = handler("chat.ask", async () => ({
      result: 1,
      next: [{ to: "executor.execute", payload: { work }, assignment }],
    }));
    await crew.start([assigns, execute, generate], {
      policy: () => ({ default: { max_attempts: 1, base_ms: 0, factor: 1, cap_ms: 0, jitter: 0 }, keys: {} }),
      budgets: () => ({ estimate, default: { day: open, month: null, trace: null }, keys: {} }),
      tools: {
        now: () => new Date(),
        models: new Map(),
        sandbox: world.tools.sandbox,
        outside: reached satisfies Outside,
      },
    });
    return crew.ask("chat.ask");
  }
  /** What is left of a trace but its end: nothing that was kept, sent on or charged. */
  async function traces(traceId: string) {
    const [account] = await world.sql<{ tokens: number; reserved: number }[]>`
      select spent_tokens::float8 as tokens, reserved_tokens::float8 as reserved from budget_accounts where scope = 'day'`;
    return {
      failure: (await traceOf(world.sql, traceId, null))?.failure?.code,
      files: await world.sql`select path from artifacts where trace_id = ${traceId} and kind = 'codegen'`,
      sentOn: await world.sql`select from bus_messages where trace_id = ${traceId} and service = 'buildtest'`,
      ends: (await eventsOf(world.sql, traceId)).filter(({ kind }) => /^codegen_(done|dead|expired)$/.test(kind))
        .length,
      reserved: account?.reserved ?? 0,
      spent: account?.tokens ?? 0,
    };
  }

  test("tells how far it is while it works, as the executor's status", async () => {
    const handler = createMcpHandler(() => {
      const mcp = new McpServer({ name: "slow", version: "1" });
      const inputSchema = z.object({ prompt: z.string() });
      mcp.registerTool("write", { description: "writes", inputSchema }, async (_, { mcpReq: { _meta, notify } }) => {
        for (const [n, message] of ["reading", "thinking", "writing"].entries())
          await notify({
            method: "notifications/progress",
            params: { progressToken: _meta?.progressToken ?? "", progress: n, message },
          });
        return { content: [{ type: "text", text: JSON.stringify(change) }] };
      });
      return mcp;
    });
    const slow = await serveWeb((request) => handler.fetch(request));
    const reach = { kind: "mcp" as const, url: slow.url, tool: "write", token: null, timeout_ms: 60_000, probe: null };
    await register(world.sql, agentSpec({ id: "slow", intents: ["code.generate"], reach }));
    const traceId = await begin(null, "slow");
    await expect.poll(() => crew.kinds(traceId), { timeout: 20_000 }).toContain("codegen_done");

    const told = (await eventsOf(world.sql, traceId)).filter(({ kind }) => kind === "execute_status").slice(1);
    expect(told.at(-1)).toMatchObject({ service: "codegen", agent_id: "slow", details: { text: "writing", round: 1 } });
    expect(told[0]?.details).toEqual({ text: "reading", round: 1 });
    await slow.close();
  });

  test("an answer after its time to live is nobody's: the trace has expired, and nothing of it is kept or sent on", async () => {
    let answer = (_: Response) => {};
    answers = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const traceId = await begin(400);
    await expect.poll(() => asked, { timeout: 20_000 }).toBe(1);
    await crew.ended(traceId).toBe("failed");
    answer(Response.json({ change, usage: { input_tokens: 1000, output_tokens: 1000 } }));

    expect(await traces(traceId)).toMatchObject({ failure: "expired", files: [], sentOn: [], ends: 1, reserved: 0 });
    expect((await traces(traceId)).spent).toBeLessThan(2000);
    expect(asked).toBe(1);
  });

  test("an answer that cannot be used is charged once with what it says it took", async () => {
    const usage = { input_tokens: 100, output_tokens: 11, cost_usd: 0.01 };
    answers = async () => Response.json({ change: { summary: "", edits: [{ path: "../x", content: "" }] }, usage });
    const traceId = await begin(null);
    await crew.ended(traceId).toBe("failed");

    const left = { files: [], sentOn: [], ends: 1, reserved: 0 };
    expect(await traces(traceId)).toMatchObject({ failure: "agent_answer_invalid", spent: 111, ...left });
  });

  test.each([
    ["HTML", () => new Response("<html>", { headers: { "content-type": "text/html" } }), "agent_answer_invalid"],
    [
      "a change outside of the workspace",
      () => Response.json({ change: { summary: "", edits: [{ path: "../x", content: "" }] } }),
      "agent_answer_invalid",
    ],
    [
      "a change of .git",
      () => Response.json({ change: { summary: "", edits: [{ path: ".git/config", content: "" }] } }),
      "agent_answer_invalid",
    ],
    [
      "the removal of what is not there",
      () => Response.json({ change: { summary: "", edits: [{ path: "none.js", delete: true }] } }),
      "model_answer_invalid",
    ],
    [
      "more than an edit may have",
      () => Response.json({ change: { summary: "", edits: [{ path: "a", content: "x".repeat(200_001) }] } }),
      "agent_answer_invalid",
    ],
  ])("%s is an end of its own, with nothing half applied", async (_, said, code) => {
    answers = async () => said();
    const traceId = await begin(null);
    await crew.ended(traceId).toBe("failed");

    expect(await traces(traceId)).toMatchObject({ failure: code, files: [], sentOn: [], ends: 1, reserved: 0 });
  });
});
