import { expect, test } from "vitest";
import type { Work } from "../../../src/contracts/work.ts";
import { detect } from "../../../src/services/buildtest/detect.ts";

const work = (workspace: Record<string, string>, rest: Partial<Work> = {}): Work => ({
  prompt: "",
  workspace,
  language: null,
  build: null,
  test: null,
  max_rounds: 1,
  grounding: [],
  ...rest,
});
const scripts = (all: Record<string, string>) => ({ "package.json": JSON.stringify({ scripts: all }) });

test.each([
  ["a script that node alone can run", scripts({ test: "node check.js" }), "node", ["node check.js"]],
  [
    "a build before the tests",
    scripts({ build: "node build.js", test: "node check.js" }),
    "node",
    ["node build.js", "node check.js"],
  ],
  ["python's own tests", { "test_a.py": "" }, "python", ["python3 -m unittest discover -v"]],
  ["a Makefile with a test target", { Makefile: "all:\n\ntest:\n\techo\n" }, "shell", ["make test"]],
  ["a test script", { "test.sh": "" }, "shell", ["sh test.sh"]],
  [
    "a script that needs what is not installed, when nothing else is there",
    scripts({ test: "jest" }),
    "node",
    ["jest"],
  ],
])("finds %s", (_, workspace, language, commands) => {
  const plan = detect(work(workspace));

  expect(plan.language).toBe(language);
  expect(plan.steps.map(({ command }) => command)).toEqual(commands);
});

test.each([
  [{ "a.test.js": "" }],
  [{ "test/a.mjs": "" }],
  [scripts({ test: "node --test" })],
  [{ ...scripts({ test: "c8 --100 node --test" }), "test/a.js": "" }],
])("runs node's own tests with a report for programs beside the one for people: %j", (workspace) => {
  expect(detect(work(workspace)).steps[0]?.command).toMatch(/^node --test --test-reporter=tap .*junit\.xml$/);
});

test("does what the work says, whatever it finds", () => {
  const plan = detect(work({ "a.test.js": "" }, { language: "shell", build: "true", test: "sh -c true" }));

  expect(plan).toEqual({
    language: "shell",
    steps: [
      { name: "build", command: "true" },
      { name: "test", command: "sh -c true" },
    ],
  });
});

test("says what to give when it finds nothing", () => {
  expect(() => detect(work({ "readme.md": "" }))).toThrow(expect.objectContaining({ code: "nothing_to_test" }));
});
