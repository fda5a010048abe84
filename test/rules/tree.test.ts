import { describe, expect, test } from "vitest";
import type { Upload } from "../../src/contracts/upload.ts";
import { editTree, treeOf } from "../../src/rules/tree.ts";

/** A project that was uploaded: two files, and two names that were links. */
const upload: Upload = {
  files: new Map([
    ["one.js", 4],
    ["lib/two.js", 4],
  ]),
  links: new Set(["way", "alias.js"]),
  async *read(path) {
    yield Buffer.from(path === "one.js" ? "one\n" : "two\n");
  },
};
const open = (rest: { workspace?: Record<string, string>; patch?: string | null } = {}) =>
  treeOf({ upload: "u", workspace: {}, patch: null, ...rest }, async () => upload);
const changed = (path: string, from: string, to: string) =>
  `--- a/${path}\n+++ b/${path}\n@@ -1 +1 @@\n-${from}\n+${to}\n`;
const made = (path: string) => `--- /dev/null\n+++ b/${path}\n@@ -0,0 +1 @@\n+x\n`;

/** Every file with its text. */
async function textsOf({ files }: Awaited<ReturnType<typeof open>>): Promise<Record<string, string>> {
  const texts: Record<string, string> = {};
  for (const [path, file] of files) {
    const pieces: Uint8Array[] = [];
    if (file instanceof Uint8Array) pieces.push(file);
    else for await (const piece of file.open()) pieces.push(piece);
    texts[path] = Buffer.concat(pieces).toString("utf8");
  }
  return texts;
}

describe("the files of a piece of work", () => {
  test("are its upload, what lies over it, and then its patch", async () => {
    const tree = await open({
      workspace: { "lib/two.js": "2\n", "new.js": "new\n" },
      patch: changed("one.js", "one", "1"),
    });
    expect(await textsOf(tree)).toEqual({ "one.js": "1\n", "lib/two.js": "2\n", "new.js": "new\n" });
  });

  test.each([
    [
      "fits one file and not the other",
      changed("one.js", "one", "1") + changed("lib/two.js", "other", "2"),
      "does not fit",
    ],
    ["makes what is there", made("one.js"), "there already"],
    ["changes a file twice", changed("one.js", "one", "1") + changed("one.js", "one", "2"), "twice"],
    ["needs a file as a folder", made("one.js/deep.js"), "as a folder"],
    ["goes through a link", changed("one.js", "one", "1") + made("way/passwd"), "writes through way, which is a link"],
    ["changes a link", made("alias.js"), "writes through alias.js, which is a link"],
    ["leaves the project", made("../out"), "leaves the project"],
    ["goes into .git", made(".git/hooks/pre-commit"), "leaves the project"],
  ])("are none of them there when a patch %s", async (_, patch, why) => {
    await expect(open({ patch })).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining(why),
    });
  });
});

describe("a model's edits", () => {
  const edit = async (...edits: Parameters<typeof editTree>[1]) => editTree(await open(), edits);

  test("are applied together, and the tree before stays as it was", async () => {
    const before = await open();
    const { tree, ...texts } = await editTree(before, [
      { path: "one.js", content: "1\n" },
      { path: "lib/two.js", delete: true },
      { path: "lib/three.js", content: "3\n" },
    ]);
    expect(await textsOf(tree)).toEqual({ "one.js": "1\n", "lib/three.js": "3\n" });
    expect(await textsOf(before)).toEqual({ "one.js": "one\n", "lib/two.js": "two\n" });
    expect(texts).toEqual({
      before: { "one.js": "one\n", "lib/two.js": "two\n" },
      after: { "one.js": "1\n", "lib/three.js": "3\n" },
    });
  });

  test.each([
    ["through a link", { path: "way/passwd", content: "x" }, "writes through way, which is a link"],
    ["of a link", { path: "alias.js", content: "x" }, "writes through alias.js, which is a link"],
    ["that removes a link", { path: "alias.js", delete: true as const }, "which is a link"],
    ["that needs a file as a folder", { path: "one.js/x", content: "x" }, "as a folder"],
    ["that removes what is not there", { path: "none.js", delete: true as const }, "not there"],
  ])("are refused as a whole for one %s", async (_, bad, why) => {
    await expect(edit({ path: "one.js", content: "1\n" }, bad)).rejects.toMatchObject({
      code: "model_answer_invalid",
      message: expect.stringContaining(why),
    });
  });
});
