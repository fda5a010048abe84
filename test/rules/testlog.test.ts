import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readTestLog, trimLog } from "../../src/rules/testlog.ts";

/** Output of real runners: node 20 (TAP and spec) and python's unittest, of the same kind of project. */
const logOf = (name: string) => readFileSync(join(import.meta.dirname, "logs", `${name}.txt`), "utf8");

describe("reading a runner's output", () => {
  test("counts and names the failing tests of node's TAP, and not the group around them", () => {
    expect(readTestLog(logOf("tap"))).toEqual({
      tests: { passed: 1, failed: 2, skipped: 1 },
      failing: [
        {
          name: "a red one: #1",
          file: "/project/a.test.js",
          message: "Expected values to be strictly equal:\n2 !== 3",
        },
        { name: "inner red", file: "/project/a.test.js", message: "boom\nsecond line" },
      ],
    });
  });

  test("counts and names the failing tests of node's spec reporter", () => {
    const { tests, failing } = readTestLog(logOf("spec"));

    expect(tests).toEqual({ passed: 1, failed: 2, skipped: 1 });
    expect(failing.map(({ name, file }) => [name, file])).toEqual([
      ["a red one: #1", "a.test.js"],
      ["inner red", "a.test.js"],
    ]);
    expect(failing[1]?.message).toContain("boom");
  });

  test("counts and names the failing tests of python's unittest", () => {
    expect(readTestLog(logOf("unittest"))).toEqual({
      tests: { passed: 1, failed: 2, skipped: 1 },
      failing: [
        { name: "test_err (test_x.T.test_err)", file: "/project/test_x.py", message: "ValueError: no" },
        { name: "test_red (test_x.T.test_red)", file: "/project/test_x.py", message: "AssertionError: 1 != 2" },
      ],
    });
  });

  test("says that it does not know, when it does not", () => {
    expect(readTestLog("make: *** No rule to make target 'test'.  Stop.\n")).toEqual({ tests: null, failing: [] });
  });

  test("does not break on anything a stranger can print, and stays within its limit", () => {
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom("not ok 1 - x", "  ---", "# pass 1", "# fail 1", "ℹ fail 2", "FAIL: a"),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 60 }), fc.integer({ min: 100, max: 2000 }), (lines, most) => {
        const log = lines.join("\n");
        expect(trimLog(log, readTestLog(log), most).length).toBeLessThanOrEqual(most);
      }),
    );
  });
});

test("what goes back to a model begins with the failing tests", () => {
  const log = `${"noise\n".repeat(5000)}${logOf("tap")}`;

  const trimmed = trimLog(log, readTestLog(log));

  expect(trimmed.length).toBeLessThanOrEqual(8000);
  expect(trimmed).toMatch(/^failing: a red one: #1\nExpected values/);
  expect(trimmed).toContain("# fail 2");
});
