import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { statusLines, verdictLines } from "../../src/cli/verdict.ts";
import { BuildTestReport } from "../../src/contracts/code.ts";
import type { TraceAnswer } from "../../src/contracts/http.ts";

const plain = (lines: string[]) => lines.map(stripVTControlCharacters);

describe("what is said while it is built", () => {
  test("why, and each command without what is for programs only", () => {
    const steps = [
      { name: "build", command: "npm run build" },
      {
        name: "test",
        command:
          "node --test --test-reporter=spec --test-reporter-destination=stdout --test-reporter=junit --test-reporter-destination=junit.xml a.js",
      },
      { name: "more", command: "python3 -m pytest -p no:cacheprovider --junitxml=junit.xml" },
      { name: "jest", command: "jest --json --outputFile=jest.json --coverage" },
    ];

    expect(plain(statusLines({ plan: { steps, because: ["node, by its files"] } }))).toEqual([
      "node, by its files",
      "build: npm run build",
      "test: node --test a.js",
      "more: python3 -m pytest -p no:cacheprovider",
      "jest: jest --coverage",
    ]);
  });

  test("how dependencies came, or why they did not", () => {
    const install = { manager: "npm", command: "npm ci", cached: false };

    expect(plain(statusLines({ install }))).toEqual(["install: npm ci"]);
    expect(plain(statusLines({ install: { ...install, cached: true } }))).toEqual(["install: kept from before"]);
    expect(plain(statusLines({ install: { manager: "npm", failed: "npm ended with 1; do this" } }))).toEqual([
      "not installed, tried without: npm ended with 1",
    ]);
    expect(statusLines({ lines: ["ok 1"] })).toEqual([]);
  });
});

describe("what is said at the end", () => {
  const trace = (rest: object) => ({ trace: { trace_id: "t", answer: null, failure: null, ...rest } }) as TraceAnswer;
  const failing = Array.from({ length: 12 }, (_, n) => ({
    name: `adds ${n}`,
    file: "test/add.test.js",
    line: n + 1,
    message: "not equal\n\n1 !== 2",
  }));
  const report = (of: typeof failing) =>
    BuildTestReport.parse({
      verdict: of.length > 0 ? "fail" : "pass",
      class: "strict",
      language: "node",
      round: 1,
      sandbox_ms: 100,
      steps: [{ name: "test", command: "node --test", code: 0, signal: null, wall_ms: 80, cpu_ms: 70, last_lines: [] }],
      tests: null,
      failing: of,
      violation: null,
      skipped_files: [],
    });

  test("the verdict, in the last line", () => {
    const answer = { text: "Green: 2 passed, 0 failed, 0 skipped.", verdict: "pass" };

    expect(plain(verdictLines(trace({ answer }), { report: report([]), where: "/kept", folder: "/p" }))).toEqual([
      "test 80 ms; sandbox class strict; /p",
      "logs and report: /kept",
      "✔ Green: 2 passed, 0 failed, 0 skipped.",
    ]);
  });

  test("the first failing tests and where they stand, once each", () => {
    const text =
      "Red: test ended with 1, 0 passed, 12 failed, 0 skipped.\n  ✖ adds 0: not equal\nCannot find module 'tape'";
    const shown = plain(
      verdictLines(trace({ answer: { text, verdict: "fail" } }), {
        report: report(failing),
        where: null,
        folder: "/p",
      }),
    );

    expect(shown.slice(0, 3)).toEqual(["✖ test/add.test.js:1  adds 0", "    not equal", "    1 !== 2"]);
    expect(shown.slice(30)).toEqual([
      "  … and 2 more",
      "Cannot find module 'tape'",
      "test 80 ms; sandbox class strict; /p",
      "more: dagent trace t",
      "✖ Red: test ended with 1, 0 passed, 12 failed, 0 skipped.",
    ]);
  });

  test("a failure, where nothing could be tested", () => {
    const failure = { code: "nothing_to_test", message: "no tests were found\nname a command" };

    expect(plain(verdictLines(trace({ failure }), { report: null, where: null, folder: "/p" }))).toEqual([
      "name a command",
      "more: dagent trace t",
      "✖ no tests were found",
    ]);
  });
});
