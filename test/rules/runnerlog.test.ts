import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readRunnerLog } from "../../src/rules/runnerlog.ts";

/** Logs that the runners have written, kept word for word. */
const log = (name: string) => readFileSync(join(import.meta.dirname, "logs", `${name}.txt`), "utf8");

describe("what runners print for people", () => {
  test("pytest's", () => {
    const { tests, failing } = readRunnerLog(log("pytest"));

    expect(tests).toEqual({ passed: 2, failed: 3, skipped: 1 });
    expect(failing).toEqual([
      { name: "test_wrong", file: "test_sum.py", line: null, message: "assert (1 + 1) == 3" },
      { name: "test_many[2]", file: "test_sum.py", line: null, message: "assert 2 == 1" },
      { name: "test_error", file: "test_sum.py", line: null, message: "" },
    ]);
  });

  test("pytest's short one, which has no frame", () => {
    expect(readRunnerLog("..\n2 passed, 1 warning in 0.01s\n")).toEqual({
      tests: { passed: 2, failed: 0, skipped: 0 },
      failing: [],
    });
  });

  test("jest's", () => {
    const { tests, failing } = readRunnerLog(log("jest"));

    expect(tests).toEqual({ passed: 1, failed: 1, skipped: 2 });
    expect(failing).toMatchObject([
      { name: "sums › is wrong", file: "sum.test.js", line: 3, message: expect.stringContaining("Expected: 3") },
      {
        name: "Test suite failed to run",
        file: "broken.test.js",
        message: expect.stringContaining("Cannot find module"),
      },
    ]);
  });

  test("vitest's", () => {
    const { tests, failing } = readRunnerLog(log("vitest"));

    expect(tests).toEqual({ passed: 1, failed: 1, skipped: 1 });
    expect(failing).toMatchObject([
      { name: "sums > is wrong", file: "sum.test.js", line: 4, message: expect.stringContaining("expected 2 to be 3") },
    ]);
  });

  test("mocha's", () => {
    const { tests, failing } = readRunnerLog(log("mocha"));

    expect(tests).toEqual({ passed: 1, failed: 2, skipped: 1 });
    expect(failing).toMatchObject([
      { name: "sums is wrong", file: "m/sum.js", line: 2, message: expect.stringContaining("2 == 3") },
      { name: "sums deep throws", file: "m/sum.js", line: 2, message: expect.stringContaining("boom") },
    ]);
  });

  test("the last totals count: those before were printed by a test", () => {
    const text = "Tests:       9 failed, 9 total\nTests:       2 passed, 2 total\n";
    expect(readRunnerLog(text).tests).toEqual({ passed: 2, failed: 0, skipped: 0 });
  });

  test.each(["", "nothing of the kind", "Tests: all of them", "3 passed in a row"])("says nothing of %j", (text) => {
    expect(readRunnerLog(text)).toEqual({ tests: null, failing: [] });
  });

  test("does not break on anything a stranger can print, and stays within its limits", () => {
    const pieces = [
      "1 failed",
      ", ",
      " in 1s",
      "\n",
      "  ● a\n\n",
      " FAIL  ",
      "Tests: ",
      "  1) ",
      ":\n",
      "    ",
      "=",
      "9".repeat(20),
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 200 }), (parts) => {
        const { failing } = readRunnerLog(parts.join(""));
        expect(failing.length).toBeLessThanOrEqual(50);
      }),
      { seed: 6 },
    );
    for (const piece of pieces) readRunnerLog(piece.repeat(200_000));
  });
});
