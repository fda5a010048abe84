import { createTwoFilesPatch } from "diff";
import fc from "fast-check";
import { expect, test } from "vitest";
import { applyPatch, readPatch } from "../../src/rules/patch.ts";

const apply = (before: string | null, patch: string) => {
  const [change, ...more] = readPatch(patch);
  if (!change || more.length > 0) throw new Error("one change was expected");
  const after = applyPatch(before === null ? null : Buffer.from(before), change);
  return after === null ? null : Buffer.from(after).toString("utf8");
};
const git = (...lines: string[]) => `${lines.join("\n")}\n`;
const head = ["diff --git a/a.txt b/a.txt", "--- a/a.txt", "+++ b/a.txt"];

test("what a diff says is what comes out", () => {
  const text = fc
    .array(fc.constantFrom("a", "b", "", "é", "long line"), { maxLength: 30 })
    .map((all) => all.join("\n"));
  fc.assert(
    fc.property(text, text, (from, to) => {
      fc.pre(from !== to);
      const patch = createTwoFilesPatch("a/a.txt", "b/a.txt", from, to).replace(/^=+\n/, "");
      expect(apply(from, patch)).toBe(to);
    }),
    { numRuns: 200 },
  );
});

test("a change finds its place where lines came before it", () => {
  expect(apply("new\nnew\none\ntwo\n", git(...head, "@@ -1,2 +1,2 @@", " one", "-two", "+TWO"))).toBe(
    "new\nnew\none\nTWO\n",
  );
});

test("a file with the line ends of Windows keeps them, whichever the patch has", () => {
  const unix = git(...head, "@@ -1,2 +1,2 @@", " one", "-two", "+TWO");
  const windows = git(...head, "@@ -1,2 +1,2 @@", " one\r", "-two\r", "+TWO\r");

  expect(apply("one\r\ntwo\r\n", unix)).toBe("one\r\nTWO\r\n");
  expect(apply("one\r\ntwo\r\n", windows)).toBe("one\r\nTWO\r\n");
  expect(apply("one\ntwo\n", unix.replaceAll("\n", "\r\n"))).toBe("one\nTWO\n");
});

test("a file comes, goes, and is renamed with a change", () => {
  const made = git("diff --git a/n b/n", "new file mode 100644", "--- /dev/null", "+++ b/n", "@@ -0,0 +1 @@", "+x");
  const gone = git("diff --git a/n b/n", "deleted file mode 100644", "--- a/n", "+++ /dev/null", "@@ -1 +0,0 @@", "-x");
  const moved = git(
    "diff --git a/n b/m",
    "similarity index 50%",
    "rename from n",
    "rename to m",
    "--- a/n",
    "+++ b/m",
    "@@ -1 +1 @@",
    "-x",
    "+y",
  );

  expect(apply(null, made)).toBe("x\n");
  expect(apply("x\n", gone)).toBeNull();
  expect(readPatch(moved)).toMatchObject([{ from: "n", to: "m", removes: true }]);
  expect(apply("x\n", moved)).toBe("y\n");
});

test("binary parts are bytes: written whole, or against what was there", () => {
  // Made by `git diff --binary` of a file of the bytes 0 to 9, and of the same with 255 behind it.
  const literal = git(
    "diff --git a/b.bin b/b.bin",
    "new file mode 100644",
    "GIT binary patch",
    "literal 10",
    "RcmZQzWMXDvWn<^y1ONc904@Lk",
    "",
    "literal 0",
    "HcmV?d00001",
  );
  const [change] = readPatch(literal);

  expect(change).toMatchObject({ from: null, to: "b.bin" });
  expect(change && [...(applyPatch(null, change) ?? [])]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test.each([
  ["does not fit", git(...head, "@@ -1 +1 @@", "-other", "+x"), "does not fit"],
  ["leads out", git("--- a/../x", "+++ b/../x", "@@ -1 +1 @@", "-one", "+x"), "leaves the project"],
  [
    "goes into .git",
    git(
      "diff --git a/.git/hooks/x b/.git/hooks/x",
      "new file mode 100755",
      "--- /dev/null",
      "+++ b/.git/hooks/x",
      "@@ -0,0 +1 @@",
      "+x",
    ),
    "leaves the project",
  ],
  ["is none", "hello\n", "no change in it"],
  ["breaks off", git(...head, "@@ -1,3 +1,3 @@", " one"), "ends in a hunk"],
  ["has no bytes for a binary file", git("diff --git a/x b/x", "Binary files a/x and b/x differ"), "without its bytes"],
  ["changes what is not there", git(...head, "@@ -1 +1 @@", "-one", "+x"), "not there"],
])("a patch that %s is refused", (what, patch, why) => {
  const before = what === "changes what is not there" ? null : "one\n";

  expect(() => apply(before, patch)).toThrow(why);
});

test("a binary part that asks for more than it says is refused before it is put together", () => {
  const base = new Uint8Array(65_536);
  const sizes = [0x80, 0x80, 0x04, 0x0a]; // of 65536 bytes, to make 10
  const bytes = Uint8Array.from([...sizes, ...Array.from({ length: 1_000_000 }, () => 0x80)]); // each copies all of it
  const change = { from: "x", to: "x", removes: false, hunks: [], binary: { kind: "delta" as const, bytes } };

  expect(() => applyPatch(base, change)).toThrow("does not fit");
});

test("a hunk that would be looked for without end is refused", () => {
  const before = "a\n".repeat(60_000);
  const lines = [...Array.from({ length: 30_000 }, () => " a"), "-b"];
  const patch = git(...head, "@@ -1,30001 +1,30000 @@", ...lines);

  expect(() => apply(before, patch)).toThrow("repeat too often");
});
