import { expect, test } from "vitest";
import { changeIn } from "../../../src/services/codegen/answer.ts";

const change = { summary: "s", edits: [{ path: "README.md", content: "```json\n{}\n```\n" }] };
const bare = JSON.stringify(change);
const pretty = JSON.stringify(change, null, 2);

test.each([
  ["bare", bare],
  ["with room around it", `\n  ${pretty}\n\n`],
  ["in a fence", `\`\`\`json\n${pretty}\n\`\`\``],
  ["in a fence without a name, between words", `Here:\r\n\`\`\`\n${bare}\n\`\`\`\nThat is all: \`\`\`.`],
  ["in a fence that is never closed", `\`\`\`JSON\n${bare}`],
  ["with fences in its own strings", bare],
])("finds the change %s", (_, text) => {
  expect(changeIn(text)).toEqual(change);
});

test.each([
  ["words", "I cannot do that", "is not JSON"],
  ["half a change", bare.slice(0, 40), "is not JSON"],
  ["another shape", "[]", "expected object"],
  ["a key nobody asked for", JSON.stringify({ ...change, run: "rm -rf /" }), "run"],
  ["too many edits", JSON.stringify({ summary: "", edits: Array(101).fill(change.edits[0]) }), "edits"],
  [
    "a file that is too long",
    JSON.stringify({ summary: "", edits: [{ path: "a", content: "x".repeat(200_001) }] }),
    "edits",
  ],
])("refuses %s and says why", (_, text, why) => {
  expect(() => changeIn(text)).toThrow(
    expect.objectContaining({
      code: "model_answer_invalid",
      message: expect.stringContaining(why),
      details: { answer: text.slice(0, 2000) },
    }),
  );
});

test("an answer without a word is one of its own kind", () => {
  expect(() => changeIn(" \n")).toThrow(expect.objectContaining({ code: "empty_answer" }));
});

test("takes time in proportion to the length of the answer", () => {
  const began = performance.now();

  expect(() => changeIn(`\`\`\`\n${"\n".repeat(1_000_000)}`)).toThrow("is not JSON");

  expect(performance.now() - began).toBeLessThan(2000); // quadratic: minutes
});
