import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { Failure } from "../contracts/failure.ts";
import { installBinaries, own, type ServerUser, serverHome, serverUser } from "./binaries.ts";
import { connect } from "./database.ts";

const run = promisify(execFile);

/** A running server. `adopted`: it was there before us, left by a process that was killed or still in use. */
export type Server = { url: string; home: string; adopted: boolean; stop(): Promise<void> };

/** Small enough for a laptop at rest, and durable: fsync and synchronous_commit stay on. */
const settings = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "100",
  shared_buffers: "64MB",
  wal_level: "replica",
  io_method: "sync", // no I/O worker processes
  jit: "off",
  random_page_cost: "1.1", // there is no disk left whose head must move
  max_parallel_workers_per_gather: "0", // every statement of ours is short; starting helpers takes longer
  log_min_messages: "warning",
};

/**
 * The embedded Postgres of a data folder: adopts the one that runs there, or starts one (initdb the first time).
 * Never two servers on one folder: Postgres holds `postmaster.pid`, and we read it before we start anything.
 * Throws `database_unavailable` when the platform has no binaries or the server does not come up within 15 s.
 */
export async function startServer(dataDir: string): Promise<Server> {
  const user = await serverUser();
  const home = await serverHome(dataDir, user);
  const bin = await installBinaries(home, user);
  const password = await secretOf(home, user);
  await initialise({ home, bin, user });

  const began = process.hrtime.bigint();
  const elapsedMs = () => Number((process.hrtime.bigint() - began) / 1_000_000n);
  let spawned = false;
  while (elapsedMs() < 15_000) {
    const running = await postmaster(home);
    const url = running && urlOf(password, running.port);
    if (running && url && (await answers(url))) {
      return { url, home, adopted: !spawned, stop: () => stopServer(running.pid) };
    }
    // A pid file left by a crash is cleared by Postgres itself, but not before its old backends are gone.
    spawned = (await launch({ home, bin, user })) || spawned;
  }
  const log = await readFile(join(home, "server.log"), "utf8").catch(() => "");
  throw new Failure("database_unavailable", `Postgres in ${home} did not start; see server.log there`, {
    log: log.slice(-2000),
  });
}

/** Stops the server of a data folder that nobody started lately, if one runs. Answers whether one did. */
export async function stopLeftServer(dataDir: string): Promise<boolean> {
  if (!existsSync(dataDir)) return false;
  const home = await serverHome(dataDir, await serverUser());
  const running = await postmaster(home);
  const password = await readFile(join(home, "password"), "utf8").catch(() => "");
  if (!running || !(await answers(urlOf(password.trim(), running.port)))) return false; // not there, or not ours
  await stopServer(running.pid);
  return true;
}

function urlOf(password: string, port: number): string {
  return `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
}

/** The password of the superuser: made once, kept beside the data, readable by its owner only. */
async function secretOf(home: string, user: ServerUser): Promise<string> {
  const path = join(home, "password");
  if (!existsSync(path)) {
    await writeFile(path, randomBytes(24).toString("hex"), { mode: 0o600, flag: "wx" }).catch((error) => {
      if (error.code !== "EEXIST") throw error; // another process was first
    });
    await own(path, user);
  }
  return (await readFile(path, "utf8")).trim();
}

/** initdb beside the place, then one rename: a half-made data folder is never seen. */
async function initialise({ home, bin, user }: { home: string; bin: string; user: ServerUser }): Promise<void> {
  const data = join(home, "data");
  if (existsSync(join(data, "PG_VERSION"))) return;
  const draft = join(home, `data-${randomBytes(4).toString("hex")}`);
  await mkdir(draft, { mode: 0o700 });
  await own(draft, user);
  const args = ["-D", draft, "-U", "postgres", "--pwfile", join(home, "password"), "--auth=scram-sha-256"];
  const locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"];
  await run(join(bin, "bin/initdb"), [...args, ...locale, "--no-instructions"], { ...user, env: {}, cwd: home });
  await rename(draft, data).catch(async (error) => {
    if (!existsSync(join(data, "PG_VERSION"))) throw error;
    await rm(draft, { recursive: true, force: true });
  });
}

/** Starts a server and waits until it is ready (true) or has given up (false). */
async function launch({ home, bin, user }: { home: string; bin: string; user: ServerUser }): Promise<boolean> {
  const log = await open(join(home, "server.log"), "a", 0o600);
  const port = await freePort();
  const options = Object.entries({ ...settings, port: String(port) }).flatMap(([key, value]) => [
    "-c",
    `${key}=${value}`,
  ]);
  const child = spawn(join(bin, "bin/postgres"), ["-D", join(home, "data"), ...options], {
    ...user,
    env: {},
    cwd: home,
    detached: true, // it outlives us; a later start adopts it
    stdio: ["ignore", log.fd, log.fd],
  });
  const ended = new Promise<false>((resolve) => {
    child.once("exit", () => resolve(false));
    child.once("error", () => resolve(false));
  });
  child.unref();
  await log.close();

  for (let waitedMs = 0; waitedMs < 15_000; waitedMs += 20) {
    const state = await Promise.race([ended, pause(20, true as const)]);
    if (!state) {
      await pause(200);
      return false;
    }
    const running = await postmaster(home);
    if (running && running.pid === child.pid && running.ready) return true;
  }
  return false;
}

type Postmaster = { pid: number; port: number; ready: boolean };

/** What `postmaster.pid` says, if it is there and whole. */
async function postmaster(home: string): Promise<Postmaster | null> {
  const text = await readFile(join(home, "data/postmaster.pid"), "utf8").catch(() => "");
  const lines = text.split("\n");
  const pid = Number(lines[0]);
  const port = Number(lines[3]);
  if (!Number.isInteger(pid) || !Number.isInteger(port) || pid <= 0 || port <= 0) return null;
  return { pid, port, ready: lines[7]?.trim() === "ready" };
}

async function answers(url: string): Promise<boolean> {
  const sql = connect(url, { max: 1 });
  try {
    await sql`select 1`;
    return true;
  } catch {
    return false;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Fast shutdown: sessions are ended, everything is written, then the server exits. */
async function stopServer(pid: number): Promise<void> {
  const alive = (signal: NodeJS.Signals | 0) => {
    try {
      return process.kill(pid, signal);
    } catch {
      return false;
    }
  };
  alive("SIGINT");
  for (let waitedMs = 0; waitedMs < 20_000 && alive(0); waitedMs += 20) await pause(20);
}

/** A TCP port of the loopback that nobody listens on now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}
