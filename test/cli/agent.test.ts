import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { agentBody, checked, parted } from "../../src/cli/agent.ts";
import { AgentRequest } from "../../src/contracts/registry.ts";

describe("an agent on the command line", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "dagent-agent-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test("is what its options say, and nothing that they do not", async () => {
    expect(
      await agentBody({
        intents: "code.generate, code.buildtest",
        reach: "http",
        url: "https://fixer.example/work",
        secret: "AGENT_FIXER",
        capacity: "4",
        pricePerCall: "0.02",
        canaryOf: "fixer@1",
        canaryPct: "12.5",
        shadow: true,
        disable: true,
      }),
    ).toEqual({
      intents: ["code.generate", "code.buildtest"],
      reach: { kind: "http", url: "https://fixer.example/work", secret: "AGENT_FIXER" },
      capacity: 4,
      price: { per_call_usd: 0.02 },
      canary_of: { agent_id: "fixer", agent_version: "1" },
      canary_pct: 12.5,
      mode: "shadow",
      enabled: false,
    });
  });

  test.each([
    ["builtin", { target: "buildtest.run" }, { kind: "builtin", role: "buildtest.run" }],
    [
      "openai",
      { target: "m", url: "https://m.example", secret: "AGENT_M" },
      { kind: "openai", model: "m", base_url: "https://m.example", api_key: "AGENT_M" },
    ],
    [
      "a2a",
      { url: "https://a.example", secret: "AGENT_A" },
      { kind: "a2a", url: "https://a.example", token: "AGENT_A" },
    ],
    [
      "mcp",
      { url: "https://t.example", target: "fix", probe: "https://t.example/up" },
      { kind: "mcp", url: "https://t.example", tool: "fix", probe: "https://t.example/up" },
    ],
  ])("is reached by %s as the registry writes it", async (reach, options, expected) => {
    expect(await agentBody({ reach, ...options })).toEqual({ reach: expected });
  });

  test("comes from a file, and an option counts above it", async () => {
    const file = join(folder, "agent.json");
    await writeFile(file, JSON.stringify({ intents: ["code.generate"], capacity: 2 }));

    expect(await agentBody({ file, capacity: "9" })).toEqual({ intents: ["code.generate"], capacity: 9 });
  });

  test.each([
    ["is not JSON", "{"],
    ["is not a JSON object", "[]"],
  ])("in a file that %s is refused", async (why, text) => {
    const file = join(folder, "bad.json");
    await writeFile(file, text);

    await expect(agentBody({ file })).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining(why),
    });
    await expect(agentBody({ file: join(folder, "gone.json") })).rejects.toThrow("cannot be read");
  });

  test("with a number that is none is refused by its field, not taken as 0", async () => {
    const body = {
      ...(await agentBody({ capacity: "many", intents: "code.generate", reach: "builtin", target: "a.b" })),
      ...parted("x@1"),
    };

    expect(() => checked(AgentRequest, body)).toThrow(/capacity/);
  });

  test("is named with its version, which may hold an @", () => {
    expect(parted("fixer")).toEqual({ id: "fixer" });
    expect(parted("fixer@2")).toEqual({ id: "fixer", version: "2" });
    expect(parted("fixer@a@b")).toEqual({ id: "fixer", version: "a@b" });
  });
});
