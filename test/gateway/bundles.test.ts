import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openClient } from "../../src/client/client.ts";
import { openUpload } from "../../src/store/uploads.ts";
import { type Door, openDoor } from "./door.ts";

describe("a project as a git bundle", () => {
  let door: Door;
  let folder: string;
  beforeAll(async () => {
    door = await openDoor();
    folder = mkdtempSync(join(tmpdir(), "bundle-"));
    git("init", "--quiet", "--initial-branch=main");
    mkdirSync(join(folder, "src"));
    writeFileSync(join(folder, "src/a.js"), "one\r\n");
    writeFileSync(join(folder, ".gitattributes"), "secret.txt export-ignore\n*.js text eol=lf\nv.txt export-subst\n");
    writeFileSync(join(folder, "secret.txt"), "kept\n");
    writeFileSync(join(folder, "v.txt"), "$Format:%H$\n");
    symlinkSync("/etc/passwd", join(folder, "link"));
    git("-c", "core.autocrlf=false", "add", "--all");
    commit("first");
    bundle("one.bundle", "HEAD");
    git("branch", "other");
    writeFileSync(join(folder, "src/a.js"), "two\n");
    git("add", "--all");
    commit("second");
    bundle("two.bundle", "main", "other");
    bundle("branch.bundle", "main");
    bundle("part.bundle", "other..main");
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true });
    await door.close();
  });

  const git = (...args: string[]) => execFileSync("git", ["-C", folder, ...args], { stdio: "pipe" });
  const commit = (message: string) =>
    git(
      "-c",
      "user.name=A",
      "-c",
      "user.email=a@b.c",
      "-c",
      "commit.gpgsign=false",
      "commit",
      "--quiet",
      "-m",
      message,
    );
  const bundle = (name: string, ...refs: string[]) =>
    git("bundle", "create", "--quiet", join(folder, ".git", name), ...refs);
  const bytes = (name: string) => readFileSync(join(folder, ".git", name));
  async function* piecesOf(content: Buffer) {
    yield content;
  }
  const upload = (content: Buffer) => openClient({ url: door.url }).uploadBundle(piecesOf(content));
  async function textsOf(id: string): Promise<Record<string, string>> {
    const { files, read } = await openUpload(door.world.dir, { tenant: "local", id, now: door.world.now });
    const texts: Record<string, string> = {};
    for (const path of files.keys()) {
      const pieces: Uint8Array[] = [];
      for await (const piece of read(path)) pieces.push(piece);
      texts[path] = Buffer.concat(pieces).toString();
    }
    return texts;
  }

  test("is the files of its HEAD, all of them, as they were committed; links are left out", async () => {
    const view = await upload(bytes("one.bundle"));

    expect(view).toMatchObject({ files: 4, left_out: [{ path: "link", why: "a link" }] });
    expect(await textsOf(view.id)).toMatchObject({ "secret.txt": "kept\n", "v.txt": "$Format:%H$\n" });
    expect((await upload(bytes("one.bundle"))).id).toBe(view.id);
  });

  test("without a HEAD is its only branch", async () => {
    expect(await textsOf((await upload(bytes("branch.bundle"))).id)).toMatchObject({ "src/a.js": "two\n" });
  });

  test.each([
    ["with several branches and no HEAD", "two.bundle", "2 branches and no HEAD"],
    ["that builds on commits it has not", "part.bundle", "commits that are not in it"],
  ])("%s is refused, and it says why", async (_, name, why) => {
    await expect(upload(bytes(name))).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining(why),
    });
  });

  test.each([
    ["is none", () => Buffer.from("# v2 git bundle\nnonsense")],
    ["was cut off", () => bytes("one.bundle").subarray(0, -40)],
    ["is empty", () => Buffer.alloc(0)],
  ])("that %s is refused", async (_, content) => {
    await expect(upload(content())).rejects.toMatchObject({ code: "invalid_request" });
  });

  test("leaves nothing behind but the upload", () => {
    const left = readdirSync(join(door.world.dir, ".uploads"));
    expect(left.filter((name) => name !== "local")).toEqual([]);
  });
});
