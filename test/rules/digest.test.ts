import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { digestOf } from "../../src/rules/digest.ts";

const markdown = (text: string, rest: { id?: string; title?: string } = {}) =>
  digestOf({ id: rest.id ?? "Guide.md", title: rest.title ?? null, text, format: "markdown" });

const manual = `# Server

Opening words.

## Options

- [bodyLimit](#bodylimit)

### \`bodyLimit\`
<a id="x"></a>

+ Default: \`1048576\`

The most bytes that are accepted.

\`\`\`js
Server({ bodyLimit: 10 })
\`\`\`

## Methods
### close

Ends it.
`;

describe("a digest of Markdown", () => {
  test("has one chunk a section, each with its heading path and exactly its place", () => {
    const { title, chunks } = markdown(manual);

    expect(title).toBe("Server");
    expect(chunks.map(({ section }) => section)).toEqual([
      "Server",
      "Server > Options > bodyLimit",
      "Server > Methods > close",
    ]);
    expect(chunks.map(({ from, to }) => manual.slice(from, to))).toEqual([
      "Opening words.",
      "+ Default: `1048576`\n\nThe most bytes that are accepted.\n\n```js\nServer({ bodyLimit: 10 })\n```".replace(
        /^/,
        "",
      ),
      "Ends it.",
    ]);
  });

  test("leaves out tables of contents and headings without words of their own", () => {
    const { chunks } = markdown(manual);

    expect(chunks.some(({ section }) => section.endsWith("Options"))).toBe(false);
  });

  test("lets a section answer to its heading, and the document to its title and file name", () => {
    const { chunks } = markdown(manual);

    expect(chunks[0]?.aliases.map(({ name }) => name)).toEqual(["server", "guide"]);
    expect(chunks[1]?.aliases.map(({ name }) => name)).toEqual(["bodylimit", "body limit"]);
  });

  test("counts the words of a heading twice, and those of the text once", () => {
    const [, limit] = markdown(manual).chunks;

    expect(limit?.terms.get("accept")).toBe(1);
    expect(limit?.terms.get("bodylimit")).toBe(3);
  });

  test.each([
    ["---\ntitle: From above\n---\n# Other\n\nText", "From above"],
    ['<h1 align="center">Serverless</h1>\n\nRun it.\n\n### More\n\nx', "Serverless"],
    ["## Hooks\n\nText", "Hooks"],
    ["Only words.", "Guide"],
  ])("finds what the document calls itself: %j", (text, title) => {
    expect(markdown(text).title).toBe(title);
  });

  test("cuts a long section between its blocks, and a long paragraph between its sentences", () => {
    const sentence = "This sentence is said again and again until it is long enough. ";
    const text = `# Long\n\n${sentence.repeat(60)}\n\n${sentence.repeat(5).trim()}`;
    const { chunks } = markdown(text);

    expect(chunks.length).toBeGreaterThan(3);
    expect(chunks.every(({ from, to }) => to - from <= 1200)).toBe(true);
    expect(chunks.every(({ from, to }) => /^This .*enough\.$/s.test(text.slice(from, to)))).toBe(true);
    expect(chunks.every(({ section }) => section === "Long")).toBe(true);
    expect(chunks.filter(({ aliases }) => aliases.length > 0)).toHaveLength(1);
  });
});

describe("a digest", () => {
  test("of plain text takes its title as what it is about", () => {
    const { title, chunks } = digestOf({
      id: "7",
      title: "Demon Dice",
      text: "A game of Lester Smith.",
      format: "text",
    });

    expect(title).toBe("Demon Dice");
    expect(chunks).toMatchObject([{ ordinal: 0, section: "", from: 0, to: 23, mentions: ["lester smith"] }]);
    expect(chunks[0]?.terms.get("demon")).toBe(2);
    expect(chunks[0]?.aliases).toEqual([{ name: "demon dice", strength: 1 }]);
  });

  test("of an empty document has no chunks", () => {
    expect(markdown("").chunks).toEqual([]);
    expect(markdown("# Only a heading").chunks).toEqual([]);
  });

  test("never loses its place, whatever it reads", () => {
    const pieces = fc.constantFrom(
      "# A\n",
      "## `b`\n",
      "word ",
      "Émile 😀. ",
      "\n\n",
      "- x\n",
      "```\ncode\n```\n",
      "| a | b |\n| - | - |\n| c | d |\n",
      "<b>",
      "> q\n",
      "\r\n",
      "x".repeat(1300),
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 40 }), fc.constantFrom("markdown", "text"), (parts, format) => {
        const text = parts.join("");
        const { chunks } = digestOf({ id: "d", title: null, text, format: format === "text" ? "text" : "markdown" });
        let last = 0;
        for (const [at, { from, to, ordinal, length, terms }] of chunks.entries()) {
          expect(ordinal).toBe(at);
          expect(from).toBeGreaterThanOrEqual(last);
          expect(to).toBeLessThanOrEqual(text.length);
          expect(length).toBe(Array.from(terms.values()).reduce((total, tf) => total + tf, 0));
          last = to;
        }
      }),
      { numRuns: 200 },
    );
  });
});
