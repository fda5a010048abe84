import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect } from "../../src/store/database.ts";
import { type Server, startServer } from "../../src/store/embedded.ts";

describe("the embedded Postgres", () => {
  let dir: string;
  let server: Server;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "dagent-embedded-"));
    server = await startServer(dir);
  });
  afterAll(async () => {
    await server.stop();
    await rm(dir, { recursive: true, force: true });
    await rm(server.home, { recursive: true, force: true });
  });
  const pid = async () => Number((await readFile(join(server.home, "data/postmaster.pid"), "utf8")).split("\n")[0]);

  test("keeps what was written through a restart, and is durable", async () => {
    const sql = connect(server.url, { max: 1 });
    await sql`create table kept (n int)`;
    await sql`insert into kept values (7)`;
    expect(await sql`show fsync`).toEqual([{ fsync: "on" }]);
    await sql.end();

    await server.stop();
    server = await startServer(dir);

    expect(server.adopted).toBe(false);
    const again = connect(server.url, { max: 1 });
    expect(await again`select n from kept`).toEqual([{ n: 7 }]);
    await again.end();
  });

  test("is adopted, never started twice, while it runs", async () => {
    const before = await pid();

    const others = await Promise.all([startServer(dir), startServer(dir)]);

    expect(others.map(({ adopted, url }) => [adopted, url])).toEqual([
      [true, server.url],
      [true, server.url],
    ]);
    expect(await pid()).toBe(before);
  });

  test("comes back after it was killed", async () => {
    process.kill(await pid(), "SIGKILL");

    server = await startServer(dir);

    const sql = connect(server.url, { max: 1 });
    expect(await sql`select n from kept`).toEqual([{ n: 7 }]);
    await sql.end();
  });

  test("does not let anybody in without its password, and does not run as root", async () => {
    const stranger = connect(server.url.replace(/postgres:[0-9a-f]+@/, "postgres:wrong@"), { max: 1 });
    await expect(stranger`select 1`).rejects.toThrow(/password authentication failed/);
    await stranger.end();

    if (!existsSync("/proc")) return;
    const uid = execFileSync("stat", ["-c", "%u", `/proc/${await pid()}`], { encoding: "utf8" }).trim();
    expect(uid).not.toBe("0");
  });
});
