import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openClient } from "../../src/client/client.ts";

/** `dagent up` as somebody starts it: the built command, in a folder of its own. */
describe("a whole system under its launcher", () => {
  let dir: string;
  const children: ChildProcess[] = [];
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "dagent-up-"));
    await chmod(dir, 0o711); // as root: open to the database's account, so that its files are in here
  });
  afterAll(async () => {
    for (const child of children) child.kill("SIGKILL");
    const pid = postmaster();
    if (pid) process.kill(pid, "SIGKILL"); // only when a test has failed
    await rm(dir, { recursive: true, force: true });
  });

  type Up = { child: ChildProcess; url: string };
  function up(): Promise<Up> {
    const main = join(import.meta.dirname, "../../dist/src/cli/main.js");
    const env = { PATH: process.env.PATH, DATA_DIR: dir, PORT: "0", LEASE_MS: "2000" };
    const child = spawn(process.execPath, [main, "up", "--json"], { cwd: dir, env, stdio: ["ignore", "pipe", "pipe"] });
    children.push(child);
    return new Promise((resolve, reject) => {
      let errors = "";
      child.stderr.on("data", (text) => {
        errors += text;
      });
      child.stdout.once("data", (line) => {
        const { url, error } = JSON.parse(String(line));
        if (url) resolve({ child, url });
        else reject(new Error(error.message));
      });
      child.once("exit", (code) => reject(new Error(`ended with ${code}: ${errors}`)));
    });
  }
  /** Another command of ours, in the same folder; its code and its JSON. */
  function dagent(...args: string[]): Promise<{ code: number | null; told: unknown }> {
    const main = join(import.meta.dirname, "../../dist/src/cli/main.js");
    const env = { PATH: process.env.PATH, DATA_DIR: dir };
    const child = spawn(process.execPath, [main, ...args, "--json"], { cwd: dir, env });
    let text = "";
    child.stdout.on("data", (part) => {
      text += part;
    });
    return new Promise((resolve) => child.once("close", (code) => resolve({ code, told: JSON.parse(text || "null") })));
  }
  const ended = (child: ChildProcess) =>
    new Promise<number | null>((resolve) => {
      if (child.exitCode !== null) resolve(child.exitCode);
      else child.once("exit", resolve);
    });
  const alive = (pid: number | null) => {
    try {
      return pid !== null && process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  const postmaster = () => {
    const file = join(dir, "postgres/data/postmaster.pid");
    return existsSync(file) ? Number(readFileSync(file, "utf8").split("\n")[0]) : null;
  };
  /** The processes below one, by their role. */
  const roles = (parent: number | undefined) => {
    const text = readFileSync(`/proc/${parent}/task/${parent}/children`, "utf8").trim();
    const pids = text === "" ? [] : text.split(" ").map(Number);
    const roleOf = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").at(-2) ?? "";
    return new Map(pids.map((pid) => [roleOf(pid), pid]));
  };

  test("is well, is refused a second time in its folder, and brings back a role that was killed", async () => {
    const { child, url } = await up();
    const client = openClient({ url });
    expect(await client.health()).toMatchObject({ status: "ok", database: "ok" });

    await expect(up()).rejects.toThrow(/already runs/);

    const gateway = roles(child.pid).get("gateway");
    if (!gateway) throw new Error("there is no gateway");
    process.kill(gateway, "SIGKILL");
    await expect.poll(() => roles(child.pid).get("gateway") ?? gateway, { timeout: 10_000 }).not.toBe(gateway);
    await expect
      .poll(
        () =>
          client.health().then(
            ({ status }) => status,
            () => "away",
          ),
        { timeout: 10_000 },
      )
      .toBe("ok");

    const all = [...roles(child.pid).values(), postmaster()];
    expect(await dagent("down")).toEqual({ code: 0, told: { stopped: "system" } });
    expect(await ended(child)).toBe(0);
    expect(all.filter((pid) => alive(pid))).toEqual([]);
    expect(await dagent("down")).toEqual({ code: 0, told: { stopped: "nothing" } });
  });

  test("leaves nobody behind but its database when the launcher is killed, and the next start adopts that", async () => {
    const { child } = await up();
    const database = postmaster();
    const left = [...roles(child.pid).values()].filter((pid) => pid !== database);

    child.kill("SIGKILL");
    await ended(child);

    await expect.poll(() => left.filter((pid) => alive(pid)), { timeout: 10_000 }).toEqual([]);
    expect(alive(database)).toBe(true);
    const again = await up();
    expect(postmaster()).toBe(database);
    expect(await openClient({ url: again.url }).health()).toMatchObject({ status: "ok" });
    again.child.kill("SIGKILL");
    await ended(again.child);

    expect(await dagent("traces")).toMatchObject({ code: 69, told: { error: { code: "gateway_unreachable" } } });
    expect(await dagent("down")).toEqual({ code: 0, told: { stopped: "database" } });
    expect(alive(database)).toBe(false);
  });
});
