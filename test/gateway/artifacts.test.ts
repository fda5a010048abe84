import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ArtifactMeta } from "../../src/contracts/artifact.ts";
import { ArtifactList } from "../../src/contracts/http.ts";
import { type Door, finishWith, openDoor, post, raw, take } from "./door.ts";

describe("artifacts", () => {
  let door: Door;
  const traces: string[] = [];
  beforeAll(async () => {
    door = await openDoor();
    for (const [name, contentType] of [
      ["test.log", "text/plain; charset=utf-8"],
      ["evil.html", "text/html"],
      ['a "quoted" näme.txt', "text/plain"],
    ] as const) {
      await post(`${door.url}/api/chat`, { message: name });
      const message = await take(door.world, "chat.ask");
      await finishWith(door.world, message, { name, contentType, content: `<b>${name}</b>` });
      traces.push(message.traceId);
    }
    await mkdir(`${door.world.dir}/stray`, { recursive: true });
    await writeFile(`${door.world.dir}/stray/secret.txt`, "not in the index");
    await door.world.sql`insert into tenants (id) values ('other')`;
  });
  afterAll(() => door.close());

  const list = async (query: string, headers: Record<string, string> = {}) =>
    ArtifactList.parse(await (await fetch(`${door.url}/api/artifacts/index${query}`, { headers })).json());

  test("are listed, latest first, by trace and tenant", async () => {
    const all = await list("");
    expect(all.artifacts).toHaveLength(3);
    expect(all.next).toBeNull();
    expect((await list(`?trace_id=${traces[0]}`)).artifacts).toMatchObject([
      { path: `${traces[0]}/build-test/test.log`, trace_id: traces[0], tenant: "local", attempts: 1 },
    ]);
    expect((await list("", { "x-tenant": "other" })).artifacts).toEqual([]);
  });

  test("come in pages that miss none, though all were kept in the same millisecond", async () => {
    const seen: string[] = [];
    for (let next: string | null = ""; next !== null; ) {
      const page = await list(`?limit=1${next && `&before=${encodeURIComponent(next)}`}`);
      seen.push(...page.artifacts.map(({ path }) => path));
      next = page.next;
    }

    expect(seen).toEqual((await list("")).artifacts.map(({ path }) => path));
    expect(new Set(seen).size).toBe(3);
    expect((await list("?before=2001-01-01T00:00:00Z")).artifacts).toEqual([]);
  });

  test.each([
    ["?trace_id=1", "/trace_id"],
    ["?before=yesterday", "/before"],
    ["?limit=1000", "/limit"],
  ])("refuse the query %s naming the field", async (query, path) => {
    const reply = await fetch(`${door.url}/api/artifacts/index${query}`);

    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({ errors: [{ in: "query", path }] });
  });

  test("are served with their type and hash, and not again to who has them", async () => {
    const url = `${door.url}/artifacts/${traces[0]}/build-test/test.log`;

    const reply = await fetch(url);

    const sha256 = createHash("sha256").update("<b>test.log</b>").digest("hex");
    expect(await reply.text()).toBe("<b>test.log</b>");
    expect(reply.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(reply.headers.get("etag")).toBe(`"${sha256}"`);
    expect(reply.headers.get("x-content-type-options")).toBe("nosniff");
    expect((await fetch(url, { headers: { "if-none-match": `"${sha256}"` } })).status).toBe(304);
    const head = await fetch(url, { method: "HEAD" });
    expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([200, "15", ""]);
  });

  test("that are pages run in a sandbox, and a strange name stays one header", async () => {
    const page = await fetch(`${door.url}/artifacts/${traces[1]}/build-test/evil.html`);
    const named = await fetch(
      `${door.url}/artifacts/${traces[2]}/build-test/${encodeURIComponent('a "quoted" näme.txt')}`,
    );

    expect(page.headers.get("content-security-policy")).toMatch(/^sandbox;/);
    expect(named.status).toBe(200);
    expect(named.headers.get("content-disposition")).toBe('inline; filename="a__quoted__n_me.txt"');
  });

  test("have their description beside them", async () => {
    const reply = await fetch(`${door.url}/artifacts/${traces[0]}/build-test/test.log.meta.json`);

    expect(reply.headers.get("content-type")).toMatch(/^application\/json/);
    const meta = ArtifactMeta.parse(await reply.json());
    expect(meta).toMatchObject({ path: `${traces[0]}/build-test/test.log`, bytes: 15 });
  });

  test("of another tenant are not there, nor their descriptions", async () => {
    const headers = { "x-tenant": "other" };
    for (const suffix of ["", ".meta.json"]) {
      const reply = await fetch(`${door.url}/artifacts/${traces[0]}/build-test/test.log${suffix}`, { headers });
      expect(reply.status).toBe(404);
    }
  });

  test.each([
    "../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/etc/passwd",
    "%252e%252e%252fetc%252fpasswd",
    "..%5c..%5cetc%5cpasswd",
    "stray\\secret.txt",
    "stray/../stray/secret.txt",
    "stray/./secret.txt",
    "stray//secret.txt",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "stray/secret.txt",
    "stray/secret.txt%00.log",
    "stray/secret.txt.meta.json",
    "%c0%ae%c0%ae/etc/passwd",
    "",
  ])("never leave their folder: %j", async (path) => {
    const reply = await raw(
      door.url,
      `GET /artifacts/${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    );

    expect(reply).toMatch(/^HTTP\/1.1 40[04] /);
    expect(reply).toContain("application/problem+json");
    expect(reply).not.toContain("root:");
    expect(reply).not.toContain("not in the index");
  });
});
