import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { EditSet } from "../../src/contracts/code.ts";
import { applyEdits, patchOf } from "../../src/rules/edits.ts";

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

  test.each(["../out.js", "/etc/passwd", "a/../../b", ".git/config", "a\\b", "a\0b", "", "a//b"])(
    "an edit of %j never gets so far",
    (path) => {
      expect(EditSet.safeParse({ summary: "", edits: [{ path, content: "" }] }).success).toBe(false);
    },
  );

  test("makes a patch that git applies, to the same files", () => {
    const after = applyEdits(files, [
      { path: "a.js", content: "one\n2" },
      { path: "new.js", content: "new\n" },
      { path: "old.js", delete: true },
    ]);
    const folder = mkdtempSync(join(tmpdir(), "dagent-patch-"));
    try {
      for (const [path, text] of Object.entries(files)) writeFileSync(join(folder, path), text);
      execFileSync("git", ["apply", "-"], { cwd: folder, input: patchOf(files, after) });
      expect(readFileSync(join(folder, "a.js"), "utf8")).toBe("one\n2");
      expect(readFileSync(join(folder, "new.js"), "utf8")).toBe("new\n");
      expect(() => readFileSync(join(folder, "old.js"))).toThrow();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
