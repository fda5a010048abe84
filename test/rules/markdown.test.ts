import { describe, expect, test } from "vitest";
import { outlineOf } from "../../src/rules/markdown.ts";

describe("the outline of Markdown", () => {
  test("follows the levels of the headings, also when one is left out", () => {
    const { sections } = outlineOf("# A\n\na\n\n### B\n\nb\n\n## C\n\nc\n\n# D\n\nd");

    expect(sections.map(({ path }) => path)).toEqual([["A"], ["A", "B"], ["A", "C"], ["D"]]);
  });

  test("does not take a comment in a code block for a heading", () => {
    const { sections } = outlineOf("# A\n\n```sh\n# install\nnpm i\n```\n");

    expect(sections).toMatchObject([{ path: ["A"], blocks: [{ plain: "# install\nnpm i" }] }]);
  });

  test("keeps inline code apart from words, and drops HTML and link targets", () => {
    const { sections } = outlineOf('<a id="x"></a>\n\nSet [`bodyLimit`](./Server.md#x) to <b>ten</b>.');

    expect(sections[0]?.blocks.map(({ plain }) => plain)).toEqual(["Set `bodyLimit` to ten."]);
  });

  test("keeps places exact behind front matter and with Windows line ends", () => {
    const text = "---\r\ntitle: T\r\n---\r\n# A\r\n\r\nWords.\r\n";
    const { title, sections } = outlineOf(text);
    const [block] = sections[0]?.blocks ?? [];

    expect(title).toBe("T");
    expect(text.slice(block?.from, block?.to)).toBe("Words.");
  });

  test("leaves out a table of contents and the line above it, but not a list of other links", () => {
    const contents = "**Table of contents**\n\n- [A](#a)\n  - [B](#b)\n";
    const { sections } = outlineOf(`${contents}\n- [Elsewhere](./other.md)\n`);
    const other = outlineOf("- [Elsewhere](./other.md)\n");

    expect(outlineOf(contents).sections).toEqual([]);
    expect(sections.length).toBeLessThanOrEqual(1);
    expect(other.sections[0]?.blocks.map(({ plain }) => plain)).toEqual(["Elsewhere"]);
  });
});
