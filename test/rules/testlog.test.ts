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
          line: expect.any(Number),
          message: "Expected values to be strictly equal:\n2 !== 3",
        },
        { name: "inner red", file: "/project/a.test.js", line: expect.any(Number), message: "boom\nsecond line" },
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
        {
          name: "test_err (test_x.T.test_err)",
          file: "/project/test_x.py",
          line: expect.any(Number),
          message: "ValueError: no",
        },
        {
          name: "test_red (test_x.T.test_red)",
          file: "/project/test_x.py",
          line: expect.any(Number),
          message: "AssertionError: 1 != 2",
        },
      ],
    });
  });

  test("reads a docstring, a subtest and an expected failure of unittest, and no totals that a test printed", () => {
    expect(readTestLog(logOf("unittest-doc"))).toEqual({
      tests: { passed: 2, failed: 2, skipped: 0 },
      failing: [
        {
          name: "test_doc (test_x.T.test_doc)",
          file: "/project/test_x.py",
          line: expect.any(Number),
          message: "AssertionError: Lists differ: [1, 2] != [1, 3]",
        },
        {
          name: "test_sub (test_x.T.test_sub) (i=1)",
          file: "/project/test_x.py",
          line: expect.any(Number),
          message: "AssertionError: 1 != 0",
        },
      ],
    });
  });

  test("counts the results of a TAP producer that says no totals", () => {
    const tap = "TAP version 13\n1..4\nok 1 - a\nnot ok 2 - b\n  ---\n  ...\nok 3 # SKIP no\nnot ok 4 - d # TODO\n";

    expect(readTestLog(tap)).toEqual({
      tests: { passed: 1, failed: 1, skipped: 2 },
      failing: [{ name: "b", file: null, line: null, message: "" }],
    });
  });

  test("takes the last totals: those before were printed by a test", () => {
    const { tests } = readTestLog("ℹ pass 7\nℹ fail 0\nℹ pass 1\nℹ fail 2\nℹ todo 3\n");

    expect(tests).toEqual({ passed: 1, failed: 2, skipped: 3 });
  });

  test("keeps of a failing test what a person and a model can use, however long it is", () => {
    const long = "x".repeat(100_000);
    const { failing } = readTestLog(`ℹ pass 0\nℹ fail 1\n\n✖ failing tests:\n\n✖ ${long} (1ms)\n  ${long}\n`);

    expect(failing.map(({ name, message }) => [name.length, message.length])).toEqual([[300, 500]]);
  });

  test.each([
    ["TAP", "not ok 1 - x\n  ---\n", "# pass 0\n# fail 1\n"],
    ["TAP of groups", "not ok 1 - x\n  ---\n  failureType: 'subtestsFailed'\n", "# pass 0\n# fail 1\n"],
    ["spec", "✖ x (1ms)\n        \n", "✖ failing tests:\nℹ pass 0\nℹ fail 1\n"],
    ["unittest", `FAIL: x\n${"-".repeat(70)}\n`, "Ran 1 test in 1s\n"],
    ["spaces", "          ", "# pass 0\n# fail 1\n"],
  ])("takes time in proportion to the length of the log: %s", (_, piece, end) => {
    const began = performance.now();

    const { failing } = readTestLog(piece.repeat(1_000_000 / piece.length) + end);

    expect(failing.length).toBeLessThanOrEqual(50);
    expect(performance.now() - began).toBeLessThan(3000); // quadratic: minutes
  });

  test("says that it does not know, when it does not", () => {
    expect(readTestLog("Just words.\n  File of no kind\n")).toEqual({ tests: null, failing: [] });
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

test("names the assertion that a plain python program ended with, and where it stands", () => {
  const trace = [
    "Traceback (most recent call last):",
    '  File "/work/main.py", line 9, in <module>',
    "    check(add)",
    '  File "/work/main.py", line 7, in check',
    "    assert candidate(1, 2) == 3",
    '  File "/work/main.py", line 2, in add',
    "    return a - oops",
    "NameError: name 'oops' is not defined",
  ];
  expect(readTestLog(trace.join("\n")).failing).toEqual([
    {
      name: "check: assert candidate(1, 2) == 3",
      file: "main.py",
      line: 7,
      message: "NameError: name 'oops' is not defined",
    },
  ]);
});
