import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { BuildTestRequest, type EditSet, type GenerateRequest, type Rounds } from "../../../src/contracts/code.ts";
import { Failure } from "../../../src/contracts/failure.ts";
import type { Assignment } from "../../../src/contracts/message.ts";
import type { Model, Prompt } from "../../../src/contracts/model.ts";
import type { Work } from "../../../src/contracts/work.ts";
import { generate } from "../../../src/services/codegen/generate.ts";
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

  test("names the setting when the worker has no such model", async () => {
    const asking = generate.handle(message({ work, rounds: null }, { assignment }), world.tools);

    await expect(asking).rejects.toMatchObject({
      code: "model_not_configured",
      message: expect.stringContaining("MODEL_BASE_URL"),
    });
  });
});
