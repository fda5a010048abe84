import { describe, expect, test } from "vitest";
import type { Passage } from "../../src/contracts/knowledge.ts";
import { quoteFrom } from "../../src/rules/quote.ts";
import { termsOf } from "../../src/rules/tokens.ts";

const asked = (query: string) => {
  const terms = termsOf(query);
  return { terms, idf: terms.map(() => 1), names: new Set<string>() };
};
const passage = (text: string, rest: Partial<Passage> = {}): Passage => ({
  chunk_id: "Server.md#12",
  collection: "manual",
  document_id: "Server.md",
  span: [100, 100 + text.length],
  title: "Server",
  section: "Options > bodyLimit",
  text,
  score: 1,
  reasons: ["says it"],
  path: [],
  ...rest,
});

describe("a quote", () => {
  test("is the sentence that covers most of the question, at its place in the document, with a marker", () => {
    const text = "+ Default: `1048576`\n\nSets the limit of the\nbody in bytes. Something else is said here at length.";
    const { text: answer, citations } = quoteFrom([passage(text)], asked("what limits the body?"));

    const [from, to] = citations[0]?.span ?? [0, 0];
    expect(text.slice(from - 100, to - 100)).toBe(citations[0]?.quote);
    expect(citations[0]).toMatchObject({ document_id: "Server.md", section: "Options > bodyLimit" });
    expect(answer).toMatch(/^Sets the limit of the body in bytes\..* \[1\]$/);
  });

  test("comes from up to three passages, not from one far below the best", () => {
    const texts = ["The body limit is one.", "A body limit is two.", "No body limit is three.", "Four body limits."];
    const passages = texts.map((text, at) => passage(text, { score: 1 - at / 10 }));

    expect(quoteFrom(passages, asked("body limit")).citations).toHaveLength(3);
    expect(
      quoteFrom([passage("A body limit."), passage("The body.", { score: 0.1 })], asked("body limit")).citations,
    ).toHaveLength(1);
  });

  test("prefers what is said in words to code, and takes code when there is nothing else", () => {
    const code = "```js\nServer({ bodyLimit: 10 })\n```";

    expect(quoteFrom([passage(`${code}\n\nThat is all of it.`)], asked("body limit")).text).toBe(
      "That is all of it. [1]",
    );
    expect(quoteFrom([passage(code)], asked("body limit")).text).toBe("Server({ bodyLimit: 10 }) [1]");
  });

  test("is not made when no passage says enough of the question", () => {
    const off = passage("A list of capital letters.", { title: "Style", section: "Letters" });

    expect(quoteFrom([off], asked("what is the capital of France and its population?"))).toEqual({
      text: "",
      citations: [],
    });
    expect(quoteFrom([], asked("anything"))).toEqual({ text: "", citations: [] });
  });
});
