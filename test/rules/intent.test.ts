import { expect, test } from "vitest";
import { intentOf } from "../../src/rules/intent.ts";

test.each([
  ["How do I trust a proxy?", 0, "rag.answer"],
  ["what does the test command run?", 0, "rag.answer"],
  ["", 3, "code.buildtest"],
  ["please test this project", 3, "code.buildtest"],
  ["build and test", 3, "code.buildtest"],
  ["run pytest", 3, "code.buildtest"],
  ["why does my test fail?", 3, "code.buildtest"],
  ["fix the failing test", 3, "code.generate"],
  ["add a test for slugify", 3, "code.generate"],
  ["make slugify keep digits", 3, "code.generate"],
  ["write a function that reverses a list", 0, "code.generate"],
])("%j with %i files is %s", (message, files, intent) => {
  expect(intentOf(message, files).intent).toBe(intent);
});
