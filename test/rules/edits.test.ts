import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { EditSet } from "../../src/contracts/code.ts";
import type { Workspace } from "../../src/contracts/work.ts";
import { applyEdits, fingerprintOf, patchOf } from "../../src/rules/edits.ts";

const files = { "a.js": "one\ntwo\n", "old.js": "gone\n" };

describe("applying edits", () => {
  test("writes, adds and deletes, and leaves the input as it was", () => {
    const after = applyEdits(files, [
      { path: "a.js", content: "one\n2\n" },
      { path: "new.js", content: "new\n" },
      { path: "old.js", delete: true },
    ]);

    expect(after).toEqual({ "a.js": "one\n2\n", "new.js": "new\n" });
    expect(files).toEqual({ "a.js": "one\ntwo\n", "old.js": "gone\n" });
  });

  test.each([
    [
      "twice",
      [
        { path: "a.js", content: "1" },
        { path: "a.js", content: "2" },
      ],
    ],
    ["not there", [{ path: "nowhere.js", delete: true as const }]],
    ["changes nothing", [{ path: "a.js", content: "one\ntwo\n" }]],
  ])("refuses all of a change that is wrong in one place: %s", (why, edits) => {
    expect(() => applyEdits(files, edits)).toThrow(
      expect.objectContaining({ code: "model_answer_invalid", message: expect.stringContaining(why) }),
    );
  });

  test.each(["../out.js", "/etc/passwd", "a/../../b", ".git/config", "lib/.GIT/hooks/x", "a\\b", "a\0b", "", "a//b"])(
    "an edit of %j never gets so far",
    (path) => {
      expect(EditSet.safeParse({ summary: "", edits: [{ path, content: "" }] }).success).toBe(false);
    },
  );

  test("sees a file that has the name of something every object has", () => {
    const after = applyEdits({ "a.js": "1" }, [{ path: "constructor", content: "new\n" }]);

    expect(after).toEqual({ "a.js": "1", constructor: "new\n" });
    expect(patchOf({ "a.js": "1" }, after)).toContain("--- /dev/null\n+++ b/constructor\n");
    expect(() => applyEdits(files, [{ path: "toString", delete: true }])).toThrow("not there");
  });

  test.each([
    [[{ path: "a.js/b.js", content: "" }]],
    [
      [
        { path: "x", content: "" },
        { path: "x/y/z", content: "" },
      ],
    ],
  ])("refuses a file where a folder is needed: %j", (edits) => {
    expect(() => applyEdits(files, edits)).toThrow("as a folder, and it is a file");
  });

  test("lets a file become a folder when the file goes", () => {
    const after = applyEdits(files, [
      { path: "a.js", delete: true },
      { path: "a.js/b.js", content: "moved" },
    ]);

    expect(Object.keys(after)).toEqual(["old.js", "a.js/b.js"]);
  });
});

describe("a patch", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "dagent-patch-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** The files of `before` after git applied the patch to `after`. */
  function applied(before: Workspace, after: Workspace): Workspace {
    for (const [path, text] of Object.entries(before)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    execFileSync("git", ["apply", "--whitespace=nowarn", "-"], { cwd: folder, input: patchOf(before, after) });
    const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
    return Object.fromEntries(paths.map((path) => [path, readFileSync(join(folder, path), "utf8")]));
  }

  test.each([
    ["text, a new file, a deleted one", files, { "a.js": "one\n2", "new.js": "new\n" }],
    ["files without a byte", { "a.js": "", b: "" }, { "a.js": "x", c: "" }],
    ["no line end, in and out", { a: "x", b: "x\n" }, { a: "x\n", b: "x" }],
    ["line ends of other systems", { a: "1\r\n2\r\n3" }, { a: "1\r\n2\n3\r\n" }],
    [
      "names with spaces, quotes and letters of the world",
      {},
      { 'd/ a "b".js': "1\n", "ä/日本.js": "2\n", "t\tab": "3\n" },
    ],
    ["a file that is quite another", { a: "x\n".repeat(5000) }, { a: "y\n".repeat(4000), "b.js": "1" }],
  ])("is applied by git to the same files: %s", (_, before: Workspace, after: Workspace) => {
    expect(applied(before, after)).toEqual(after);
  });

  test("is applied by git, whatever the lines are", () => {
    const text = fc
      .array(fc.constantFrom("a", "b", "", " ", "\r", "-- x", "++ y", "\\ No newline", "@@ -1 +1 @@", "é"), {
        maxLength: 12,
      })
      .chain((lines) => fc.constantFrom("\n", "").map((end) => lines.join("\n") + end));

    fc.assert(
      fc.property(text, text, (from, to) => {
        fc.pre(from !== to);
        expect(applied({ f: from }, { f: to })).toEqual({ f: to });
      }),
      { numRuns: 60 },
    );
  });

  test("has one fingerprint, whatever the order in which the edits came", () => {
    const edits = [
      { path: "b", content: "2" },
      { path: "a", content: "1" },
    ];
    const printOf = (some: typeof edits) => fingerprintOf(patchOf({}, applyEdits({}, some)));

    expect(printOf(edits)).toBe(printOf(edits.toReversed()));
    expect(printOf(edits)).not.toBe(printOf(edits.slice(1)));
  });
});
