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

test("takes the commands of the language's profile where the project does not say", () => {
  const commandsOf = (name: string) => (name === "go" ? { build: "go build ./...", test: "go test ./..." } : {});
  const of = (rest: Partial<Work>, files = {}) =>
    detect(work({ "main.go": "", ...files }, { language: "go", ...rest }), commandsOf);

  expect(of({}).steps.map(({ command }) => command)).toEqual(["go build ./...", "go test ./..."]);
  expect(of({ test: "true" }).steps.map(({ command }) => command)).toEqual(["go build ./...", "true"]);
  expect(of({}, { Makefile: "test:\n" }).steps.at(-1)?.command).toBe("make test");
  expect(of({}).language).toBe("go");
});

const scripts = (all: Record<string, string>) => ({ "package.json": JSON.stringify({ scripts: all }) });
const placeholder = scripts({ test: 'echo "Error: no test specified" && exit 1' });
const jest = scripts({ test: "jest" });

test.each([
  ["a script that node alone can run", scripts({ test: "node check.js" }), "node", ["node check.js"]],
  [
    "a build before the tests",
    scripts({ build: "node build.js", test: "node check.js" }),
    "node",
    ["node build.js", "node check.js"],
  ],
  [
    "python's own tests by the names that unittest does not look for by itself",
    { "a/tests/a_test.py": "", "a/__init__.py": "", "a/tests/__init__.py": "" },
    "python",
    ["python3 -m unittest discover -v -p '*test*.py'"],
  ],
  ["python's own tests", { "test_a.py": "" }, "python", ["python3 -m unittest discover -v"]],
  [
    "pytest's tests, which unittest would pass over in silence",
    { "test_a.py": "def test_a():\n    assert 1\n" },
    "python",
    ["python3 -m pytest -p no:cacheprovider --junitxml=junit.xml"],
  ],
  ["a Makefile with a test target", { Makefile: "all:\n\ntest:\n\techo\n" }, "shell", ["make test"]],
  ["a test script", { "test.sh": "" }, "shell", ["sh test.sh"]],
  ["a script with a variable before it", scripts({ test: "A=1 node x.js | cat" }), "node", ["A=1 node x.js | cat"]],
  ["a test script where npm only has its placeholder", { ...placeholder, "test.sh": "" }, "node", ["sh test.sh"]],
  ["a Makefile where the script needs what is not installed", { ...jest, Makefile: "test :\n" }, "node", ["make test"]],
  [
    "python's tests in a folder that is no package",
    { "tests/test_a.py": "", "a.py": "" },
    "python",
    ["python3 -m unittest discover -v -s tests"],
  ],
  [
    "python's tests in a package",
    { "tests/test_a.py": "", "tests/__init__.py": "" },
    "python",
    ["python3 -m unittest discover -v"],
  ],
])("finds %s", (_, workspace, language, commands) => {
  const plan = detect(work(workspace));

  expect(plan.language).toBe(language);
  expect(plan.steps.map(({ command }) => command)).toEqual(commands);
});

test.each([
  [{ "a.test.js": "" }, ""],
  [{ "a-test.cjs": "" }, ""],
  [{ "test/a.mjs": "" }, ""],
  [scripts({ test: "node --test" }), ""],
  [scripts({ test: "node --test spec/*.js" }), " spec/*.js"],
  [{ ...scripts({ test: "c8 --100 node --test" }), "test/a.js": "" }, ""],
  [{ ...placeholder, "test/a.js": "" }, ""],
])("runs node's own tests with a report for programs beside the text for people: %j", (workspace, rest) => {
  expect(detect(work(workspace)).steps[0]?.command).toBe(
    "node --test --test-reporter=spec --test-reporter-destination=stdout" +
      ` --test-reporter=junit --test-reporter-destination=junit.xml${rest}`,
  );
});

test.each(["node --test --test-reporter=dot", "node --test && node more.js", "node --test-only x.js"])(
  "does not touch a script that asks for more than node's runner: %s",
  (script) => {
    expect(detect(work(scripts({ test: script }))).steps[0]?.command).toBe(script);
  },
);

const vitestReport = "--reporter=default --reporter=junit --outputFile.junit=junit.xml";
const jestReport = "--json --outputFile=jest.json";

test.each([
  ["vitest", `vitest run ${vitestReport}`],
  ["vitest --coverage", `vitest run ${vitestReport} --coverage`],
  ["CI=1 npx vitest run src", `CI=1 npx vitest run ${vitestReport} src`],
  ["tsc --noEmit && vitest run", `tsc --noEmit && vitest run ${vitestReport}`],
  ["jest", `jest ${jestReport}`],
  ["jest --ci --coverage", `jest ${jestReport} --ci --coverage`],
  ["NODE_OPTIONS=--experimental-vm-modules jest", `NODE_OPTIONS=--experimental-vm-modules jest ${jestReport}`],
  [
    'cross-env NODE_OPTIONS="--a --b" node --c node_modules/jest/bin/jest.js -i',
    `cross-env NODE_OPTIONS="--a --b" node --c node_modules/jest/bin/jest.js ${jestReport} -i`,
  ],
  ["eslint . && jest", `eslint . && jest ${jestReport}`],
])("has a runner that is installed report to programs too: %s", (script, command) => {
  expect(detect(work(scripts({ test: script })), undefined, true).steps[0]?.command).toBe(command);
});

test.each([
  "vitest watch",
  "vitest --reporter=dot",
  "vitest run | cat",
  "jest --json",
  "jest && echo well",
  "jest-runner",
  "npm run jest",
  `${"A= ".repeat(5000)}jes`,
])("does not touch a script that says itself what is reported, or calls something else: %s", (script) => {
  expect(detect(work(scripts({ test: script })), undefined, true).steps[0]?.command).toBe(script);
});

test("says which scripts of the project are left out, for they need what is not installed", () => {
  const project = work({ ...scripts({ build: "tsc", test: "vitest" }), "test/a.js": "" });
  const left = (name: string) =>
    `its ${name} script is left out, for it needs what is not installed: a lockfile brings that`;
  expect(detect(project).because).toEqual([
    "node, by its files",
    "test by the names of its files",
    left("build"),
    left("test"),
  ]);
  expect(detect({ ...project, test: "node --test" }).because).not.toContain(left("test"));
  expect(detect(project, undefined, true).because.join()).not.toContain("left out");
});

test("a package that brings a runner and no script is tested with it", () => {
  const manifest = JSON.stringify({ devDependencies: { jest: "*" } });
  expect(detect(work({ "package.json": manifest }), undefined, true).steps[0]?.command).toBe(`jest ${jestReport}`);
});

test("does what the work says, whatever it finds", () => {
  const plan = detect(work({ "a.test.js": "" }, { language: "shell", build: "true", test: "sh -c true" }));

  expect(plan).toEqual({
    language: "shell",
    steps: [
      { name: "build", command: "true" },
      { name: "test", command: "sh -c true" },
    ],
    because: ["shell, as was said", "build as was said", "test as was said"],
  });
});

test.each([
  [{ "readme.md": "" }, "say how to test"],
  [{ "contest.js": "", ...placeholder }, "say how to test"],
  [jest, '"jest" needs what is not installed'],
  [{ "package.json": "{" }, "say how to test"],
])("says what to give when it finds nothing that can run: %j", (workspace, why) => {
  expect(() => detect(work(workspace))).toThrow(
    expect.objectContaining({ code: "nothing_to_test", message: expect.stringContaining(why) }),
  );
});
