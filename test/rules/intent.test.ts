import { expect, test } from "vitest";
import { intentOf } from "../../src/rules/intent.ts";

test.each([
  ["", "code.buildtest"],
  ["please test this project", "code.buildtest"],
  ["build and test", "code.buildtest"],
  ["run pytest", "code.buildtest"],
  ["why does my test fail?", "code.buildtest"],
  ["does it compile?", "code.buildtest"],
  ["is this green?", "code.buildtest"],
  ["Run the tests and make sure they pass", "code.buildtest"],
  ["run make test please", "code.buildtest"],
  ["did my last change break anything?", "code.buildtest"],
  ["Check whether the update still passes its tests", "code.buildtest"],
  ["fix the failing test", "code.generate"],
  ["The test fails. Please fix it.", "code.generate"],
  ["add a test for slugify", "code.generate"],
  ["make slugify keep digits", "code.generate"],
  ["rename foo to bar and check that the tests still pass", "code.generate"],
  ["Does it pass? If not, repair it and add a test", "code.generate"],
  ["slugify should keep digits", "code.generate"],
  ["Will you fix the failing test?", "code.generate"],
  ["are you able to repair the build", "code.generate"],
])("files with %j are %s", (message, intent) => {
  expect(intentOf(message, 3).intent).toBe(intent);
});

test.each([
  "write a function that reverses a list",
  "Can you write me a script that renames files?",
  "could you please create a small parser for INI files",
  "I need a TypeScript class for a queue",
  "I'd like you to implement fizzbuzz",
  "Implement a binary search",
  "Hi, please write slugify(text) in slugify.js",
  "generate unit tests for a stack",
  "Give me a regex that matches dates",
  "Write a python one-liner that sums a column",
  "Fix this:\n```js\nconst a = ;\n```",
  "Let's build a CLI that prints the weather",
  "help me write some SQL",
  "write a script that prints a report",
])("%j is a wish for code", (message) => {
  expect(intentOf(message, 0).intent).toBe("code.generate");
});

test.each([
  "build and test this project",
  "Please run the tests",
  "test my code",
  "Can you run the test suite again?",
  "check it",
])("%j is a wish to build and test, with nothing to test", (message) => {
  expect(intentOf(message, 0).intent).toBe("code.buildtest");
});

test.each([
  "How do I trust a proxy?",
  "what does the test command run?",
  "How do I write a plugin?",
  "How can I test a route?",
  "What is a hook?",
  "Can I run the tests without a database?",
  "Should I use async functions in a handler?",
  "why does my code fail with EADDRINUSE?",
  "Write a summary of the manual",
  "Make a list of all hooks",
  "Please write a report about the script",
  "Give me an overview of the Python client",
  "the function of the liver",
  "check the code of conduct",
  "test coverage policy",
  "Which class does the parser use?",
  "I want to know how the server starts",
  "hello",
])("%j is a question to the documents", (message) => {
  expect(intentOf(message, 0).intent).toBe("rag.answer");
});

test("whatever is said, there is an intent and a reason, and it takes no time", () => {
  for (const text of [
    "a ".repeat(10_000),
    "make ".repeat(4000),
    "please ".repeat(2800),
    "(".repeat(20_000),
    "run and ".repeat(2500),
  ]) {
    for (const files of [0, 1]) expect(intentOf(text, files).because).not.toBe("");
  }
});
