import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readJestReport } from "../../src/rules/jestreport.ts";

/** Reports that the runners have written. */
const report = (name: string) => readFileSync(join(import.meta.dirname, "logs", `${name}.json`), "utf8");
const ofOne = (file: object) => JSON.stringify({ testResults: [file] });

describe("a report of jest's kind", () => {
  test("jest's own: counts, failing tests with their place, and the file that could not be run", () => {
    expect(readJestReport(report("jest"))).toEqual({
      tests: { passed: 1, failed: 2, skipped: 2 },
      failing: [
        {
          name: "sums › is wrong",
          file: "sum.test.js",
          line: 3,
          message: "Error: expect(received).toBe(expected) // Object.is equality\nExpected: 3\nReceived: 2",
        },
        {
          name: "Test suite failed to run",
          file: "broken.test.js",
          line: 1,
          message: expect.stringContaining("Cannot find module './nothing-here' from 'broken.test.js'"),
        },
      ],
    });
  });

  test("vitest's json", () => {
    const { tests, failing } = readJestReport(report("vitest"));
    expect(tests).toEqual({ passed: 1, failed: 2, skipped: 2 });
    expect(failing).toMatchObject([
      { name: "sums › is wrong", file: "a.test.mjs", line: 2 },
      { name: "Test suite failed to run", file: "b.test.mjs", line: null },
    ]);
  });

  test.each([
    "",
    "{",
    "null",
    "[]",
    "{}",
    '{"testResults":7}',
    '{"testResults":[]}',
    '{"testResults":[null,7,{}]}',
    report("jest").slice(0, 900),
  ])("says nothing of what is none: %j", (json) => {
    expect(readJestReport(json)).toEqual({ tests: null, failing: [] });
  });

  test("takes what is there where parts are missing or are something else", () => {
    const file = { name: 7, assertionResults: [null, { status: "failed", title: 3 }, { status: "passed" }] };
    expect(readJestReport(ofOne(file))).toEqual({
      tests: { passed: 1, failed: 1, skipped: 1 },
      failing: [{ name: "", file: null, line: null, message: "" }],
    });
  });

  test("names at most 50 failing tests, each cut, without colours", () => {
    const one = { status: "failed", title: "x".repeat(9000), failureMessages: ["\u001b[31mred\u001b[39m"] };
    const { tests, failing } = readJestReport(ofOne({ name: "/work/a.js", assertionResults: Array(200).fill(one) }));
    expect(tests?.failed).toBe(200);
    expect(failing).toHaveLength(50);
    expect(failing[0]).toEqual({ name: "x".repeat(300), file: "a.js", line: null, message: "red" });
  });

  test("does not break on anything a stranger can write", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        for (const json of [a, { testResults: a }, { testResults: [{ name: b, assertionResults: [a, b] }, a] }]) {
          const { tests, failing } = readJestReport(JSON.stringify(json));
          expect(failing.length).toBeLessThanOrEqual(50);
          if (tests === null) expect(failing).toEqual([]);
        }
      }),
    );
  });
});
