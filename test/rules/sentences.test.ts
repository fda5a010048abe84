import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sentencesOf } from "../../src/rules/sentences.ts";

const textsOf = (text: string) => sentencesOf(text).map(({ from, to }) => text.slice(from, to));

describe("sentences", () => {
  test("end with a stop, not with an initial, an abbreviation or a number", () => {
    expect(textsOf("D. Robinson met Dr. Smith in 1.5 hours. He left! Did J. S. Bach? Yes.")).toEqual([
      "D. Robinson met Dr. Smith in 1.5 hours.",
      "He left!",
      "Did J. S. Bach?",
      "Yes.",
    ]);
  });

  test("of Markdown keep out of list markers, quotes and headings, and join wrapped lines", () => {
    const text = "# Title\n\n+ Default: `1`\n+ Sets the\n  limit.\n\n> A note\n> that goes on.\n";

    expect(textsOf(text)).toEqual(["Title", "Default: `1`", "Sets the\n  limit.", "A note\n> that goes on."]);
  });

  test("every line of a code block is one, and says that it is code", () => {
    const text = "Call it:\n\n```js\nconst a = 1. Then\n\nb()\n```\nDone.";

    expect(sentencesOf(text).map(({ from, to, code }) => [text.slice(from, to), code])).toEqual([
      ["Call it:", false],
      ["const a = 1. Then", true],
      ["b()", true],
      ["Done.", false],
    ]);
  });

  test("lie in order, never overlap and never begin or end with a space", () => {
    const pieces = fc.constantFrom(
      "A word. ",
      "Dr. ",
      "\n\n",
      "- item\n",
      "```\n",
      "> q\n",
      "x",
      " ",
      "! ",
      "| a | b |\n",
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 30 }), (parts) => {
        const text = parts.join("");
        let last = 0;
        for (const { from, to } of sentencesOf(text)) {
          expect(from).toBeGreaterThanOrEqual(last);
          expect(text.slice(from, to)).toBe(text.slice(from, to).trim());
          expect(to).toBeGreaterThan(from);
          last = to;
        }
      }),
    );
  });
});
