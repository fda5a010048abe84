import { LLMock } from "@copilotkit/aimock";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Asking, Toolbox } from "../../src/contracts/model.ts";
import { openaiModel } from "../../src/llm/openai.ts";

const prompt = [{ role: "user" as const, content: "change it" }];
const long = "word ".repeat(400);

describe("an endpoint of others, over HTTP", () => {
  let double: LLMock;
  beforeEach(async () => {
    double = new LLMock({ port: 0, chunkSize: 20 });
    await double.start();
  });
  afterEach(() => double.stop());

  const ask = (rest: Partial<Asking> = {}, options: { timeoutMs?: number; tools?: boolean } = {}) =>
    openaiModel({
      name: "m",
      baseUrl: `${double.url}/v1`,
      model: "gpt-x",
      apiKey: "k",
      timeoutMs: 5000,
      ...options,
    }).generate(prompt, { maxTokens: null, signal: new AbortController().signal, ...rest });
  const ways: [string, Partial<Asking>][] = [
    ["in one piece", {}],
    ["as a stream", { onText: () => {} }],
  ];

  describe.each(ways)("asked for its answer %s", (_, asking) => {
    test("that is busy says how long", async () => {
      double.onMessage("change it", { error: { message: "slow down" }, status: 429, retryAfter: 7 });
      await expect(ask(asking)).rejects.toMatchObject({ code: "model_busy", details: { retry_after_ms: 7000 } });
      expect(double.getRequests()).toHaveLength(1);
    });

    test.each([
      [500, "model_unreachable"],
      [503, "model_unreachable"],
      [400, "model_refused"],
      [403, "model_refused"],
    ])("that answers %i is %s", async (status, code) => {
      double.onMessage("change it", { error: { message: "no" }, status });
      await expect(ask(asking)).rejects.toMatchObject({ code });
    });

    test("that answers nothing has not answered", async () => {
      double.onMessage("change it", { content: "" });
      await expect(ask(asking)).rejects.toMatchObject({ code: "model_answer_invalid" });
    });

    test("whose filter ended the answer has refused", async () => {
      double.onMessage("change it", { content: "I will", finishReason: "content_filter" });
      await expect(ask(asking)).rejects.toMatchObject({ code: "model_refused" });
    });

    test("whose answer was cut off at its limit has not answered", async () => {
      double.onMessage("change it", { content: '{"summary": "half', finishReason: "length" });
      await expect(ask(asking)).rejects.toMatchObject({ code: "model_answer_invalid" });
    });

    test("that sends what is no JSON has not answered", async () => {
      double.on({ userMessage: "change it" }, { content: long }, { chaos: { malformedRate: 1 } });
      await expect(ask(asking)).rejects.toMatchObject({
        code: expect.stringMatching(/^model_(answer_invalid|unreachable)$/),
      });
    });

    test("that hangs up is unreachable", async () => {
      double.on({ userMessage: "change it" }, { content: long }, { chaos: { disconnectRate: 1 } });
      await expect(ask(asking)).rejects.toMatchObject({ code: "model_unreachable" });
    });

    test("that takes too long is given up", async () => {
      double.on({ userMessage: "change it" }, { content: long }, { chaos: { latencyMs: 20_000 } });
      await expect(ask(asking, { timeoutMs: 200 })).rejects.toMatchObject({
        code: "model_unreachable",
        message: "no answer within 200 ms",
      });
    });
  });

  test("a stream that breaks off is no answer, whatever was heard of it", async () => {
    double.on({ userMessage: "change it" }, { content: long }, { truncateAfterChunks: 3 });
    const heard: string[] = [];

    await expect(ask({ onText: (text) => void heard.push(text) })).rejects.toMatchObject({ code: "model_unreachable" });
    expect(heard.join("").length).toBeLessThan(long.length);
  });
});

describe.each([
  ["in one piece", undefined],
  ["as a stream", () => {}],
])("a model that calls tools, %s", (_, onText) => {
  const double = new LLMock({ port: 0, chunkSize: 7 });
  const change = JSON.stringify({ summary: "s", edits: [{ path: "a.js", content: "2\n" }] });
  const calls = (name: string, args: unknown, id = "call_1") => ({
    toolCalls: [{ id, name, arguments: typeof args === "string" ? args : JSON.stringify(args) }],
    usage: { prompt_tokens: 10, completion_tokens: 4 },
  });
  beforeAll(async () => {
    double.onToolResult("call_1", calls("submit_change", change, "call_2"));
    double.onMessage("read it first", calls("read_file", { path: "a.js" }));
    double.onMessage("at once", calls("submit_change", change));
    double.onMessage("in words", { content: change, usage: { prompt_tokens: 10, completion_tokens: 4 } });
    double.onMessage("another tool", calls("rm_rf", { path: "/" }));
    double.onMessage("with nonsense", calls("read_file", "{no json"));
    double.onToolResult("call_again", calls("read_file", { path: "a.js" }, "call_again"));
    double.onMessage("for ever", calls("read_file", { path: "a.js" }, "call_again"));
    await double.start();
  });
  afterAll(() => double.stop());
  beforeEach(() => double.clearRequests());

  let used: unknown[] = [];
  const toolbox: Toolbox = {
    answer: { name: "submit_change", about: "hands it in", parameters: { type: "object" } },
    more: [
      {
        name: "read_file",
        about: "reads",
        parameters: { type: "object" },
        async use(args) {
          used.push(args);
          return "1\n";
        },
      },
    ],
  };
  const ask = (
    content: string,
    { maxTokens = null, tools = true }: { maxTokens?: number | null; tools?: boolean } = {},
  ) => {
    used = [];
    const model = openaiModel({
      name: "m",
      baseUrl: `${double.url}/v1`,
      model: "x",
      apiKey: null,
      timeoutMs: 5000,
      tools,
    });
    return model.generate([{ role: "user", content }], {
      maxTokens,
      signal: new AbortController().signal,
      onText,
      toolbox,
    });
  };
  const sent = () =>
    double.getRequests().map(({ body }) => body as { messages: unknown[]; tools?: unknown[]; max_tokens?: number });

  test("gets what it asks for, and its answer is what it hands in; tokens are those of all turns", async () => {
    const answer = await ask("read it first", { maxTokens: 100 });

    expect(answer).toMatchObject({ text: change, tokens: { input: 20, output: 8 }, replay: false });
    expect(used).toEqual([{ path: "a.js" }]);
    expect(sent()).toHaveLength(2);
    expect(sent()[0]?.tools).toHaveLength(2);
    expect(sent()[1]?.messages.slice(1)).toMatchObject([
      { role: "assistant", tool_calls: [{ id: "call_1", function: { name: "read_file" } }] },
      { role: "tool", tool_call_id: "call_1", content: "1\n" },
    ]);
    expect(sent().map(({ max_tokens }) => max_tokens)).toEqual([100, 96]);
  });

  test.each(["at once", "in words"])("may answer %s", async (how) => {
    expect((await ask(how)).text).toBe(change);
    expect(sent()).toHaveLength(1);
  });

  test.each(["another tool", "with nonsense"])("that calls %s is told, and goes on", async (how) => {
    expect((await ask(how)).text).toBe(change);
    expect(sent()).toHaveLength(2);
  });

  test("that calls tools without end is stopped", async () => {
    await expect(ask("for ever")).rejects.toMatchObject({ code: "model_answer_invalid" });
    expect(sent().length).toBeLessThan(20);
  });

  test("that takes all of its tokens for that is stopped", async () => {
    await expect(ask("for ever", { maxTokens: 8 })).rejects.toMatchObject({ code: "model_answer_invalid" });
    expect(sent()).toHaveLength(2);
  });

  test("is offered none where its endpoint is not known to have them", async () => {
    await expect(ask("read it first", { tools: false })).rejects.toMatchObject({ code: "model_answer_invalid" });
    expect(sent()[0]).not.toHaveProperty("tools");
  });
});
