import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { BuildTestRequest, type EditSet, type GenerateRequest, type Rounds } from "../../../src/contracts/code.ts";
import { Failure } from "../../../src/contracts/failure.ts";
import type { Assignment } from "../../../src/contracts/message.ts";
import type { Model, Prompt } from "../../../src/contracts/model.ts";
import { AgentAsk, type Outside } from "../../../src/contracts/outside.ts";
import type { Work } from "../../../src/contracts/work.ts";
import { generate } from "../../../src/services/codegen/generate.ts";
import { register } from "../../../src/store/agents.ts";
import { agentSpec } from "../../support/agents.ts";
import { message, openWorld, type World } from "../../support/world.ts";

const work: Work = {
  prompt: "make it two",
  workspace: { "one.js": "1\n" },
  language: null,
  build: null,
  test: "node --test",
  max_rounds: 3,
  grounding: [{ document_id: "d", title: "Manual", section: "Numbers", span: [0, 3], text: "two is 2", score: 1 }],
};
const two = { summary: "now two", edits: [{ path: "one.js", content: "2\n" }] };
const assignment: Assignment = {
  agent_id: "coder",
  agent_version: "1",
  canary: false,
  model: "m",
  budget: { max_cost_usd: null, max_tokens: 1000 },
  ttl_ms: null,
};

describe("codegen.generate", () => {
  let world: World;
  let asked: { prompt: Prompt; maxTokens: number | null }[] = [];
  beforeAll(async () => {
    world = await openWorld();
  });
  beforeEach(() => {
    asked = [];
    world.kept.splice(0);
  });
  afterAll(() => world.close());

  /** An endpoint of our own that says `text`, seen from where the handler sees it. */
  const saying = (text: string): Model => ({
    name: "m",
    provider: "cassette",
    async generate(prompt, { maxTokens }) {
      asked.push({ prompt, maxTokens });
      return { text, provider: "cassette", model: "m-1", replay: true, tokens: { input: 10, output: 5 } };
    },
  });
  const write = (text: string, rest: Partial<GenerateRequest> = {}, given = assignment) =>
    generate.handle(message({ work, rounds: null, ...rest }, { assignment: given, idempotencyKey: "k" }), {
      ...world.tools,
      models: new Map([["m", saying(text)]]),
    });
  const redAfter = (change: EditSet): Rounds => ({ round: 1, change, log: "", failing: [], tokens: 0, seen: [] });
  const writtenBy = async (change: EditSet, rounds: Rounds | null) => {
    const { next } = await write(JSON.stringify(change), { rounds });
    const { written } = BuildTestRequest.parse(next?.[0]?.payload);
    return { seen: written?.seen ?? [] };
  };

  test("asks with the wish, the files and what was found, and sends the change to its tests", async () => {
    const { result, next } = await write(JSON.stringify(two));

    const question = asked[0]?.prompt.at(-1)?.content ?? "";
    for (const part of ["make it two", "--- one.js\n1", "node --test", "[1] Manual, Numbers\ntwo is 2"]) {
      expect(question).toContain(part);
    }
    expect(result).toMatchObject({ round: 1, model: "m-1", replay: true, tokens_total: 15 });
    expect(next).toMatchObject([{ to: "buildtest.run", payload: { work, written: { change: two } } }]);
  });

  test("keeps the change as files, in their place and under their round", async () => {
    await write(JSON.stringify(two));

    expect(world.kept.map(({ kind, name }) => `${kind}/${name}`)).toEqual([
      "codegen/edits.json",
      "codegen/diff.patch",
      "codegen/summary.md",
      "codegen/metrics.json",
      "codegen/rounds/1/edits.json",
      "codegen/rounds/1/diff.patch",
      "codegen/rounds/1/summary.md",
      "codegen/rounds/1/metrics.json",
    ]);
    expect(world.kept[1]?.content).toContain("-1\n+2\n");
  });

  test("says in its summary which documents it went by", async () => {
    await write(JSON.stringify({ ...two, summary: "now two, as [1] says" }));

    expect(world.kept[2]?.content).toBe(
      "now two, as [1] says\n\nSources:\n\n[1] Manual, Numbers (d)\n\nRound 1, replayed from a recording (m-1).\n",
    );
  });

  test("keeps what a model was told of its red round", async () => {
    await write(JSON.stringify(two), { rounds: { ...redAfter({ ...two, summary: "s" }), log: "failing: adds" } });

    expect(world.kept.at(-1)).toMatchObject({ kind: "codegen", name: "rounds/2/red.log", content: "failing: adds" });
  });

  test("shows a red round its own change and the failing log, with the tokens that are left", async () => {
    const one = { summary: "s", edits: [{ path: "one.js", content: "3\n" }] };
    const { result } = await write(JSON.stringify(two), {
      rounds: { ...redAfter(one), log: "expected 2", tokens: 900, seen: ["f"] },
    });

    expect(asked[0]?.prompt.map(({ role }) => role)).toEqual(["system", "user", "assistant", "user"]);
    expect(asked[0]?.prompt.at(-1)?.content).toContain("expected 2");
    expect(asked[0]?.maxTokens).toBe(100);
    expect(result).toMatchObject({ round: 2, tokens_total: 915 });
  });

  test("takes an answer in a fence", async () => {
    const { next } = await write(`Here you are:\n\`\`\`json\n${JSON.stringify(two)}\n\`\`\`\nDone.`);

    expect(next).toHaveLength(1);
  });

  test.each([
    ["prose", "I cannot do that"],
    ["half a change", JSON.stringify(two).slice(0, 30)],
    ["no edits", '{"summary":"s","edits":[]}'],
    ["a way out", '{"summary":"s","edits":[{"path":"../x","content":""}]}'],
    ["git's own folder", '{"summary":"s","edits":[{"path":".git/config","content":""}]}'],
    ["nothing new", '{"summary":"s","edits":[{"path":"one.js","content":"1\\n"}]}'],
  ])("refuses %s as no answer, to be asked again", async (_, text) => {
    await expect(write(text)).rejects.toMatchObject({ code: "model_answer_invalid", retry: true });
    expect(world.kept).toEqual([]);
  });

  test("stops a model that comes back to a change that was red, in whatever words and order", async () => {
    const three = { summary: "now three", edits: [{ path: "three.js", content: "3\n" }, ...two.edits] };
    const other = { summary: "other", edits: [{ path: "one.js", content: "4\n" }] };
    const first = await writtenBy(three, null);
    const second = await writtenBy(other, { ...redAfter(three), seen: first.seen });

    const again = { summary: "I am sure now", edits: three.edits.toReversed() };
    const rounds = { ...redAfter(other), round: 2, log: "red", failing: ["is two"], seen: second.seen };
    await expect(write(JSON.stringify(again), { rounds })).rejects.toMatchObject({
      code: "never_green",
      retry: false,
      message: "round 3 brought the same edits as round 1, which were red",
      details: { rounds: 3, failing: ["is two"], log: "red" },
    });
  });

  test("puts aside what an answer may take, keeps to it, and says what it did take", async () => {
    const said: unknown[] = [];
    await generate.handle(message({ work, rounds: null }, { assignment, idempotencyKey: "k" }), {
      ...world.tools,
      models: new Map([["m", saying(JSON.stringify(two))]]),
      reserve: async (most) => {
        said.push(most);
        return { tokens: 77 };
      },
      spend: (figure) => void said.push(figure),
    });
    expect(asked[0]?.maxTokens).toBe(77);
    expect(said).toEqual([
      { cost_usd: null, tokens: 1000, seconds: null },
      { cost_usd: 0, tokens: 15, seconds: expect.any(Number) },
    ]);
  });

  test("asks nobody when nothing can be put aside", async () => {
    const asking = generate.handle(message({ work, rounds: null }, { assignment, idempotencyKey: "k" }), {
      ...world.tools,
      models: new Map([["m", saying(JSON.stringify(two))]]),
      reserve: async () => {
        throw new Failure("budget_exhausted", "all is spent");
      },
    });
    await expect(asking).rejects.toMatchObject({ code: "budget_exhausted", retry: false });
    expect(asked).toEqual([]);
  });

  test("asks no more when the tokens of its budget are used up", async () => {
    await expect(write("{}", { rounds: { ...redAfter(two), tokens: 1000 } })).rejects.toMatchObject({
      code: "budget_spent",
      details: { used: 1000, max_tokens: 1000 },
    });
    expect(asked).toEqual([]);
  });

  test("ends when an answer took more than was left, and keeps what it cost", async () => {
    const other = { summary: "other", edits: [{ path: "one.js", content: "4\n" }] };

    await expect(write(JSON.stringify(two), { rounds: { ...redAfter(other), tokens: 990 } })).rejects.toMatchObject({
      code: "budget_spent",
      details: { used: 1005, max_tokens: 1000 },
    });
    expect(JSON.parse(String(world.kept[3]?.content))).toMatchObject({ tokens_total: 1005, cost_usd: null });
  });

  test("asks nothing on a budget in money that it could not keep", async () => {
    const budget = { max_cost_usd: 1, max_tokens: null };

    await expect(write(JSON.stringify(two), {}, { ...assignment, budget })).rejects.toMatchObject({
      code: "budget_spent",
    });
    expect(asked).toEqual([]);
  });

  test("keeps a budget in money where the price is known: what is left buys the next answer", async () => {
    const budget = { max_cost_usd: 0.001, max_tokens: null };
    const given = { assignment: { ...assignment, budget } };
    const prices = () => ({ models: { m: { input_usd: 0, output_usd: 10 } } });
    const tools = { ...world.tools, models: new Map([["m", saying(JSON.stringify(two))]]), prices };
    await generate.handle(message({ work, rounds: null }, given), tools);
    expect(asked.at(-1)?.maxTokens).toBe(100);

    const spent = (cost_usd: number | null) => ({ ...redAfter({ ...two, summary: "s" }), cost_usd });
    await generate.handle(message({ work, rounds: spent(0.0004) }, given), tools);
    expect(asked.at(-1)?.maxTokens).toBe(60);
    for (const rounds of [spent(0.001), spent(0.000999), spent(null)]) {
      await expect(generate.handle(message({ work, rounds }, given), tools)).rejects.toMatchObject({
        code: "budget_spent",
      });
    }
    expect(asked).toHaveLength(2);
  });

  test("names the setting when the worker has no such model", async () => {
    const asking = generate.handle(message({ work, rounds: null }, { assignment }), world.tools);

    await expect(asking).rejects.toMatchObject({
      code: "model_not_configured",
      message: expect.stringContaining("MODEL_BASE_URL"),
    });
  });

  test("what a model costs is known by its price, and what it says is heard while it speaks", async () => {
    const heard: string[] = [];
    let ended = 0;
    const live: Model = {
      name: "m",
      provider: "openai-compatible",
      async generate(_, { onText }) {
        onText?.("half");
        const text = JSON.stringify(two);
        return {
          text,
          provider: "openai-compatible",
          model: "m-1",
          replay: false,
          tokens: { input: 100, output: 50 },
        };
      },
    };
    const writeLive = (given: Assignment) =>
      generate.handle(message({ work, rounds: null }, { assignment: given }), {
        ...world.tools,
        models: new Map([["m", live]]),
        prices: () => ({ models: { "m-*": { input_usd: 2, output_usd: 10 } } }),
        outlet: () => ({
          say: (text) => void heard.push(text),
          async end() {
            ended += 1;
          },
        }),
      });

    expect((await writeLive(assignment)).result).toMatchObject({ cost_usd: 0.0007 });
    expect({ heard, ended }).toEqual({ heard: ["half"], ended: 1 });

    await writeLive({ ...assignment, approval: { patch: true, expires_s: 60 } });
    expect(heard).toEqual(["half"]); // what must be approved first is shown to nobody
  });

  describe("with an agent outside", () => {
    const http = { kind: "http" as const, url: "http://a.test/work", secret: null, timeout_ms: 1000, probe: null };
    const outer: Assignment = { ...assignment, agent_id: "outer", model: null };
    let sent: { url: string; body: AgentAsk }[] = [];
    beforeAll(async () => {
      await register(world.sql, agentSpec({ id: "outer", intents: ["code.generate"], reach: http }));
    });
    const outsideThat = (status: number, body: unknown): Outside => ({
      fetch: async (url, init) => {
        sent.push({ url: String(url), body: AgentAsk.parse(JSON.parse(String(init?.body))) });
        return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });
      },
      secretOf: () => "s",
      publicUrl: "http://gateway.test",
      newToken: () => "token",
      modelAt: () => saying(JSON.stringify(two)),
    });
    const askOuter = (outside: Outside, rest: Partial<GenerateRequest> = {}, key = "k") => {
      sent = [];
      return generate.handle(message({ work, rounds: null, ...rest }, { assignment: outer, idempotencyKey: key }), {
        ...world.tools,
        outside,
      });
    };

    test("asks it as a model is asked, and takes its change", async () => {
      const usage = { input_tokens: 7, output_tokens: 3, cost_usd: 0.02 };
      const { result, next } = await askOuter(outsideThat(200, { change: two, usage }));

      expect(sent[0]?.url).toBe("http://a.test/work");
      expect(sent[0]?.body).toMatchObject({ agent: { agent_id: "outer" }, max_tokens: 1000, test: "node --test" });
      expect(sent[0]?.body.messages.at(-1)?.content).toContain("make it two");
      expect(result).toMatchObject({ provider: "http", model: "outer 1", tokens_total: 10, cost_usd: 0.02 });
      expect(next).toMatchObject([{ to: "buildtest.run", key: "k", payload: { written: { change: two } } }]);
    });

    test("waits when it has taken the work, with nothing kept and nothing sent on", async () => {
      const { result, next, wait } = await askOuter(outsideThat(202, {}));

      expect(sent[0]?.body.callback).toMatchObject({
        token: "token",
        url: expect.stringMatching(/\/api\/callbacks\/\d+$/),
      });
      expect(next).toBeUndefined();
      expect(result).toMatchObject({ waits: true });
      expect(wait).toMatchObject({ kind: "callback", next: { to: "codegen.generate", key: "k~" } });
      expect(JSON.stringify(wait?.asked)).not.toContain("token");
      expect(world.kept).toEqual([]);
    });

    test("goes on with what it answers later as if it had answered at once, without asking again", async () => {
      const { next } = await askOuter(outsideThat(500, {}), { answered: { answer: { change: two } } }, "k~");

      expect(sent).toEqual([]);
      expect(next).toMatchObject([{ to: "buildtest.run", key: "k", payload: { written: { change: two } } }]);
    });

    test("that does not answer in time has failed", async () => {
      await expect(askOuter(outsideThat(500, {}), { unanswered: { id: "1" } })).rejects.toMatchObject({
        code: "agent_silent",
      });
    });

    test("that answered later with no answer has failed", async () => {
      const asked = askOuter(outsideThat(500, {}), { answered: { answer: "<html>" } });
      await expect(asked).rejects.toMatchObject({ code: "agent_answer_invalid" });
    });

    test("cannot be reached from a worker that reaches nobody outside", async () => {
      const asked = generate.handle(message({ work, rounds: null }, { assignment: outer }), world.tools);
      await expect(asked).rejects.toMatchObject({ code: "agent_failed" });
    });

    test("a model at an address of its own is asked there", async () => {
      const reach = { kind: "openai" as const, model: "far", base_url: "http://m.test/v1", api_key: null };
      await register(world.sql, agentSpec({ id: "far", intents: ["code.generate"], reach }));
      const given = { ...assignment, agent_id: "far", model: "far" };
      const { result } = await generate.handle(message({ work, rounds: null }, { assignment: given }), {
        ...world.tools,
        outside: outsideThat(500, {}),
      });
      expect(result).toMatchObject({ model: "m-1" });
    });
  });
});
