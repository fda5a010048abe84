import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openClient } from "../../src/client/client.ts";
import { tarOf } from "../../src/client/tar.ts";
import { UploadView } from "../../src/contracts/upload.ts";
import { openUpload } from "../../src/store/uploads.ts";
import { answer, type Door, finish, openDoor, post, take } from "./door.ts";

async function* filesOf(files: Record<string, string>) {
  for (const [path, text] of Object.entries(files)) {
    const content = Buffer.from(text);
    yield {
      path,
      bytes: content.length,
      content: (async function* () {
        yield content;
      })(),
    };
  }
}

async function tarred(files: Record<string, string>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of tarOf(filesOf(files))) pieces.push(piece);
  return Buffer.concat(pieces);
}

const bad: [string, Buffer, string][] = [
  ["is no tar", Buffer.from("no tar".repeat(200)), "no tar"],
  ["leads out", await tarred({ "../x": "" }), "inside the workspace"],
  ["is empty", await tarred({}), "no file"],
  ["has a file for a folder", await tarred({ a: "", "a/b": "" }), "as a folder"],
  ["was cut off", (await tarred({ a: "x".repeat(2000) })).subarray(0, 1100), "cut off"],
];

describe("uploads and the gate", () => {
  let door: Door;
  beforeAll(async () => {
    door = await openDoor();
  });
  afterAll(() => door.close());

  const send = (body: Uint8Array<ArrayBuffer>, type = "application/x-tar") =>
    fetch(`${door.url}/api/workspaces`, { method: "POST", headers: { "content-type": type }, body });
  const open = (id: string, tenant = "local") => openUpload(door.world.dir, { tenant, id, now: door.world.now });

  test("a project is taken in as it comes, and the same files are the same upload", async () => {
    const client = openClient({ url: door.url });
    const files = { "package.json": "{}", "src/a.js": "let a;\n" };
    const view = await client.upload(filesOf(files));

    expect(view).toMatchObject({ files: 2, bytes: 9, left_out: [] });
    expect(await client.upload(filesOf(files))).toEqual(view);
    const kept = await open(view.id);
    const pieces: Uint8Array[] = [];
    for await (const piece of kept.read("src/a.js")) pieces.push(piece);
    expect(Buffer.concat(pieces).toString()).toBe("let a;\n");
  });

  test("a gzipped tar is the same upload as the plain one", async () => {
    const tar = await tarred({ a: "1" });
    const plain = UploadView.parse(await (await send(new Uint8Array(tar))).json());

    expect(await (await send(new Uint8Array(gzipSync(tar)), "application/gzip")).json()).toEqual(plain);
  });

  test("another tenant does not find it", async () => {
    const { id } = UploadView.parse(await (await send(new Uint8Array(await tarred({ a: "mine" })))).json());

    await expect(open(id, "other")).rejects.toMatchObject({ code: "not_found" });
  });

  test.each(bad)("one that %s is refused, and nothing is left of it", async (_, bytes, why) => {
    const reply = await send(new Uint8Array(bytes));

    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({ code: "invalid_request", detail: expect.stringContaining(why) });
  });

  test("what is git's own is left out, and said", async () => {
    const view = UploadView.parse(
      await (await send(new Uint8Array(await tarred({ ".git/config": "", a: "" })))).json(),
    );

    expect(view).toMatchObject({ files: 1, left_out: [{ path: ".git/config", why: "of git's own" }] });
  });

  test("the gate waits, and answers 200 when it is green", async () => {
    const waiting = post(`${door.url}/api/workflows/code-build-test?enforce=true`, {
      workspace: { "test.sh": "true" },
    });
    await expect.poll(() => door.world.sql`select from bus_queue`, { timeout: 10_000 }).toHaveLength(1);
    await finish(door.world, await take(door.world, "chat.ask"), { answer: { ...answer, verdict: "pass" } });

    const reply = await waiting;
    expect(reply.status).toBe(200);
    expect(await reply.json()).toMatchObject({ verdict: "pass", failing: [] });
  });

  test("the gate answers 422 when it is red", async () => {
    const waiting = post(`${door.url}/api/workflows/code-build-test?enforce=true`, {
      workspace: { "test.sh": "false" },
    });
    await expect.poll(() => door.world.sql`select from bus_queue`, { timeout: 10_000 }).toHaveLength(1);
    await finish(door.world, await take(door.world, "chat.ask"), { answer: { ...answer, verdict: "fail" } });

    const reply = await waiting;
    expect(reply.status).toBe(422);
    expect(await reply.json()).toMatchObject({ code: "tests_failed", verdict: "fail", failing: [] });
  });

  test("a workflow without a project is refused, and one without a wish to wait is a trace", async () => {
    expect((await post(`${door.url}/api/workflows/code-build-test`, {})).status).toBe(400);
    const accepted = await post(`${door.url}/api/workflows/code-build-test`, { workspace: { a: "" } });
    expect(accepted.status).toBe(202);
  });
});

test("without a credential neither is open", async () => {
  const door = await openDoor({ adminToken: "secret-token" });
  try {
    await post(`${door.url}/api/keys`, { name: "a", kind: "admin" }, { "x-admin-token": "secret-token" });
    const upload = await fetch(`${door.url}/api/workspaces`, {
      method: "POST",
      headers: { "content-type": "application/x-tar" },
      body: "x",
    });
    expect(upload.status).toBe(401);
    expect((await post(`${door.url}/api/workflows/code-build-test`, { workspace: { a: "" } })).status).toBe(401);
  } finally {
    await door.close();
  }
});
