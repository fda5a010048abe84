import { expect, test } from "vitest";
import { citedIn } from "../../src/rules/cite.ts";

const passage = (n: number, text = `passage ${n}`) => ({
  document_id: `d${n}`,
  title: `Title ${n}`,
  section: "S",
  span: [100, 100 + text.length] as [number, number],
  text,
  score: 1,
});
const shown = [passage(1), passage(2), passage(3)];

test("what is named is cited, in the order it is named, and the numbers are those of the citations", () => {
  const { text, citations } = citedIn("Uses the limit [3], as [1] and [3, 2] say.", shown);

  expect(text).toBe("Uses the limit [1], as [2] and [1, 3] say.");
  expect(citations.map(({ document_id }) => document_id)).toEqual(["d3", "d1", "d2"]);
  expect(citations[0]).toEqual({
    document_id: "d3",
    title: "Title 3",
    section: "S",
    span: [100, 109],
    quote: "passage 3",
  });
});

test.each([
  ["a number that nothing has is left out", "as [9] says", "as  says"],
  ["the index of a list is none", "rows[1] and f()[2] are kept", "rows[1] and f()[2] are kept"],
  ["0 is none", "[0]", ""],
])("%s", (_, said, text) => {
  expect(citedIn(said, shown)).toEqual({ text, citations: [] });
});

test("a text without passages stays as it is", () => {
  expect(citedIn("see [1]", [])).toEqual({ text: "see [1]", citations: [] });
});

test("a long passage is quoted from its beginning, and its place is that of the quote", () => {
  const [citation] = citedIn("[1]", [passage(1, "x".repeat(5000))]).citations;

  expect(citation?.quote).toHaveLength(300);
  expect(citation?.span).toEqual([100, 400]);
});
