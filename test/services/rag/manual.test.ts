import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { questions } from "../../../scenarios/stories/questions.ts";
import { IndexRequest, QueryRequest } from "../../../src/contracts/knowledge.ts";
import { index } from "../../../src/services/rag/index.ts";
import { query } from "../../../src/services/rag/query.ts";
import { message, openWorld, type World } from "../../support/world.ts";

const folder = "node_modules/fastify/docs";

describe("the manual of Fastify, which nobody here wrote", () => {
  let world: World;
  const texts = new Map<string, string>();
  beforeAll(async () => {
    world = await openWorld();
    const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".md")).sort();
    for (const id of files) texts.set(id, await readFile(join(folder, id), "utf8"));
    const documents = Array.from(texts, ([id, text]) => ({ id, text, format: "markdown" }));
    await index.handle(message(IndexRequest.parse({ collection: "fastify", documents })), world.tools);
  });
  afterAll(() => world.close());

  const ask = (words: string) =>
    query.handle(message(QueryRequest.parse({ query: words, collection: "fastify" })), world.tools);

  test.each(questions)("answers $question from $document, $section", async ({ question, document, section }) => {
    const { answer } = await ask(question);

    const cited = answer?.citations.map(({ document_id, section: heading }) => ({ document_id, heading }));
    expect(cited).toContainEqual({ document_id: document, heading: expect.stringContaining(section) });
    for (const { document_id, span, quote } of answer?.citations ?? []) {
      expect(texts.get(document_id)?.slice(...span)).toBe(quote);
    }
  });

  test.each(["Who is the president of the United States?", "How do I bake sourdough bread?"])(
    "does not pretend to know: %s",
    async (words) => {
      expect((await ask(words)).answer?.citations).toEqual([]);
    },
  );
});
