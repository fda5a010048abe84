import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { LLMock } from "@copilotkit/aimock";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { openaiModel } from "../../src/llm/openai.ts";

const asking = {
  maxTokens: 100,
  get signal() {
    return new AbortController().signal; // one a question, as the worker does
  },
};
const prompt = [{ role: "user" as const, content: "hello" }];

describe("a model behind an OpenAI-compatible URL", () => {
  const double = new LLMock({ port: 0 });
  let servers: Server[] = [];
  beforeAll(async () => {
    double.onMessage("hello", { content: "Hi there!", usage: { prompt_tokens: 7, completion_tokens: 3 } });
    await double.start();
  });
  afterAll(() => double.stop());
  afterEach(() => {
    for (const server of servers) server.close().closeAllConnections();
    servers = [];
  });

  const model = (baseUrl: string, timeoutMs = 5000) =>
    openaiModel({ name: "m", baseUrl, model: "some-model", apiKey: "key", timeoutMs });
  /** An endpoint that answers one thing, or nothing at all. */
  function endpoint(status: number, body: unknown, headers: Record<string, string> = {}): Promise<string> {
    return listen((_, response) => {
      if (status === 0) return;
      response.writeHead(status, { "content-type": "application/json", ...headers });
      response.end(typeof body === "string" ? body : JSON.stringify(body));
    });
  }
  async function listen(answer: RequestListener): Promise<string> {
    const server = createServer(answer);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    return `http://127.0.0.1:${port}/v1`;
  }
  const choice = (message: unknown, finish_reason = "stop") => ({
    model: "x",
    choices: [{ index: 0, message, finish_reason }],
  });

  test("answers with text, model and tokens, and is no replay", async () => {
    const answer = await model(`${double.url}/v1`).generate(prompt, asking);

    expect(answer).toMatchObject({ text: "Hi there!", provider: "openai-compatible", replay: false });
    expect(answer.tokens).toEqual({ input: 7, output: 3, cached: 0 });
  });

  test.each([
    ["model_busy", 429, { error: { message: "slow down" } }],
    ["model_unreachable", 500, { error: { message: "broken" } }],
    ["model_unreachable", 503, "<html>"],
    ["model_refused", 401, { error: { message: "no" } }],
    ["model_refused", 400, { error: { message: "bad" } }],
    ["model_answer_invalid", 200, choice({ role: "assistant", content: "" })],
    ["model_answer_invalid", 200, choice({ role: "assistant", content: "cut" }, "length")],
    ["model_answer_invalid", 200, { choices: [] }],
    ["model_answer_invalid", 200, { choices: [{ index: 0 }] }],
    ["model_answer_invalid", 200, '{"choices":[{"mess'],
    ["model_answer_invalid", 200, "null"],
    ["model_answer_invalid", 200, ""],
    ["model_refused", 200, choice({ role: "assistant", content: null, refusal: "I will not" })],
    ["model_refused", 200, choice({ role: "assistant", content: "" }, "content_filter")],
  ])("says %s when the endpoint answers %i %j", async (code, status, body) => {
    await expect(model(await endpoint(status, body)).generate(prompt, asking)).rejects.toMatchObject({ code });
  });

  test.each([
    ["7", 7000],
    ["1.5", 1500],
    ["Mon, 20 Jul 2026 10:00:30 GMT", 30_000],
    ["Mon, 20 Jul 2026 09:00:00 GMT", 0],
    ["soon", undefined],
  ])("passes on how long a busy endpoint asks to wait: %s", async (asked, retry_after_ms) => {
    const date = "Mon, 20 Jul 2026 10:00:00 GMT";
    const url = await endpoint(429, { error: { message: "slow down" } }, { "retry-after": asked, date });

    const failure = await model(url)
      .generate(prompt, asking)
      .catch((thrown) => thrown);

    expect(failure).toMatchObject({ code: "model_busy", retry: true });
    expect(failure.details.retry_after_ms).toBe(retry_after_ms);
  });

  test.each([
    ["counts nothing", {}],
    ["counts in its own way", { usage: { total: 3 } }],
  ])("does not guess the tokens of an endpoint that %s, nor its model", async (_, usage) => {
    const url = await endpoint(200, { choices: [{ message: { content: "hi" } }], ...usage });

    const answer = await model(url).generate(prompt, asking);

    expect(answer).toEqual({
      text: "hi",
      provider: "openai-compatible",
      model: "some-model",
      replay: false,
      tokens: null,
    });
  });

  test("gives up on an answer that begins and never ends", async () => {
    const url = await listen((_, response) => void response.writeHead(200).write('{"choices":['));

    await expect(model(url, 200).generate(prompt, asking)).rejects.toMatchObject({
      code: "model_unreachable",
      message: "no answer within 200 ms",
    });
  });

  test("says so when the connection breaks in the middle of an answer", async () => {
    const url = await listen((_, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.write('{"choices":[', () => response.destroy());
    });

    await expect(model(url).generate(prompt, asking)).rejects.toMatchObject({ code: "model_unreachable" });
  });

  test("gives up on an endpoint that never answers, and asks it once only", async () => {
    let asked = 0;
    const url = await listen(() => {
      asked += 1;
    });

    await expect(model(url, 100).generate(prompt, asking)).rejects.toMatchObject({ code: "model_unreachable" });
    expect(asked).toBe(1);
  });

  test("gives up when it is told to, with the reason it was given", async () => {
    const url = await endpoint(0, "");
    const control = new AbortController();

    const asked = model(url).generate(prompt, { ...asking, signal: control.signal });
    control.abort(new Error("the lease ran out"));

    await expect(asked).rejects.toThrow("the lease ran out");
  });

  test("says so when nobody is there", async () => {
    await expect(model("http://127.0.0.1:1/v1").generate(prompt, asking)).rejects.toMatchObject({
      code: "model_unreachable",
    });
  });

  describe("that is heard while it speaks", () => {
    const event = (piece: unknown) => `data: ${typeof piece === "string" ? piece : JSON.stringify(piece)}\n\n`;
    const delta = (content: string, finish_reason: string | null = null) =>
      event({ model: "x-1", choices: [{ index: 0, delta: { content }, finish_reason }] });
    const usage = event({
      choices: [],
      usage: { prompt_tokens: 9, completion_tokens: 4, prompt_tokens_details: { cached_tokens: 5 } },
    });
    async function hear(...pieces: string[]) {
      const baseUrl = await endpoint(200, pieces.join(""), { "content-type": "text/event-stream" });
      const heard: string[] = [];
      const said = model(baseUrl).generate(prompt, { ...asking, onText: (text) => void heard.push(text) });
      return { said, heard };
    }

    test("by a real double says the same in pieces as in one", async () => {
      const heard: string[] = [];
      const answer = await model(`${double.url}/v1`).generate(prompt, {
        ...asking,
        onText: (text) => void heard.push(text),
      });

      expect(answer.text).toBe("Hi there!");
      expect(heard.join("")).toBe("Hi there!");
      expect(heard.length).toBeGreaterThan(0);
    });

    test("answers with all of its pieces, the model that answered, and what it counted", async () => {
      const { said, heard } = await hear(delta("a"), delta("b", "stop"), usage, event("[DONE]"));

      expect(await said).toMatchObject({ text: "ab", model: "x-1", tokens: { input: 9, output: 4, cached: 5 } });
      expect(heard).toEqual(["a", "b"]);
    });

    test.each([
      ["breaks off in the middle", "model_unreachable", [delta("a")]],
      ["ends with garbage", "model_answer_invalid", [delta("a"), event("{half")]],
      ["sends pieces of something else", "model_answer_invalid", [event({ choices: "none" })]],
      ["is cut off at its limit", "model_answer_invalid", [delta("a", "length")]],
      ["says nothing", "model_answer_invalid", [delta("", "stop"), event("[DONE]")]],
      ["is ended by a filter", "model_refused", [delta("a", "content_filter")]],
      ["refuses", "model_refused", [event({ choices: [{ delta: { refusal: "no" }, finish_reason: "stop" }] })]],
      [
        "asks for a tool",
        "model_answer_invalid",
        [
          event({
            choices: [{ delta: { tool_calls: [{ index: 0, function: { name: "ls" } }] }, finish_reason: "tool_calls" }],
          }),
        ],
      ],
    ])("and %s is a failure", async (_, code, pieces) => {
      const { said } = await hear(...pieces);
      await expect(said).rejects.toMatchObject({ code });
    });
  });

  test("that asks for a tool, which none was offered, has not answered", async () => {
    const message = {
      content: null,
      tool_calls: [{ id: "1", type: "function", function: { name: "ls", arguments: "{}" } }],
    };
    const baseUrl = await endpoint(200, choice(message, "tool_calls"));
    await expect(model(baseUrl).generate(prompt, asking)).rejects.toMatchObject({
      code: "model_answer_invalid",
      message: expect.stringContaining("(ls)"),
    });
  });
});
