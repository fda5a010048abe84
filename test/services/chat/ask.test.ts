import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ChatRequest } from "../../../src/contracts/chat.ts";
import { ask } from "../../../src/services/chat/ask.ts";
import { message, openWorld, type World } from "../../support/world.ts";

describe("chat.ask", () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world.close());

  const asked = (body: unknown) => ask.handle(message(ChatRequest.parse(body)), world.tools);

  test("sends a question to retrieval, which answers it", async () => {
    const { result, next } = await asked({ message: "How do I trust a proxy?", collection: "manual" });

    expect(result).toEqual({ intent: "rag.answer", because: "words without files are a question to the documents" });
    expect(world.recorded).toContainEqual({ kind: "gateway_intent", data: result });
    expect(next).toMatchObject([
      { to: "rag.query", intent: "rag.answer", payload: { collection: "manual", work: null } },
    ]);
  });

  test("grounds a wish for code before anybody is chosen for it", async () => {
    const { next } = await asked({ message: "add slugify", intent: "code.generate", workspace: { "a.js": "1" } });

    expect(next).toMatchObject([
      { to: "rag.query", payload: { work: { prompt: "add slugify", workspace: { "a.js": "1" }, max_rounds: 3 } } },
    ]);
  });

  test("sends files to be built and tested straight to the orchestrator", async () => {
    const { result, next } = await asked({ workspace: { "a.test.js": "1" }, test: "node --test" });

    expect(result.intent).toBe("code.buildtest");
    expect(next).toMatchObject([
      { to: "orchestrator.decide", payload: { role: "executor.execute", work: { test: "node --test" } } },
    ]);
  });

  test("a wish to test something that did not come along is told how to bring it", async () => {
    await expect(asked({ message: "please run the tests" })).rejects.toMatchObject({
      code: "nothing_to_test",
      message: expect.stringContaining("dagent run FOLDER"),
    });
  });

  test.each([
    [{}, "/message"],
    [{ intent: "rag.answer", message: "  " }, "/message"],
    [{ intent: "code.buildtest", message: "go" }, "/workspace"],
    [{ message: "x", workspace: { "../x": "" } }, "/workspace/../x"],
    [{ message: "x", workspace: { a: "", "a/b": "" } }, "/workspace/a/b"],
    [{ message: "x", workspace: { [`${"é".repeat(128)}.js`]: "" } }, `/workspace/${"é".repeat(128)}.js`],
    [{ message: "x", tenant: "acme" }, "/"],
  ])("a request that cannot be carried out is refused at the door: %j", (body, path) => {
    const parsed = ChatRequest.safeParse(body);

    expect(parsed.error?.issues.map((issue) => `/${issue.path.join("/")}`)).toContain(path);
  });
});
