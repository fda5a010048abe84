import { randomBytes } from "node:crypto";
import { mkdir, rename } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Failure } from "../contracts/failure.ts";
import { connect } from "../store/database.ts";
import { freePort, type Server, startServer } from "../store/embedded.ts";
import { migrate } from "../store/migrations.ts";
import { type Config, childEnvironment, sandboxEnvironment } from "./config.ts";
import { migrationsFolder } from "./paths.ts";
import { loadPolicy, policyNames } from "./policies.ts";
import { type Kept, keepRole, type RoleName } from "./roles.ts";
import { forgetRunning, noteRunning, runningSystem, wasKilled } from "./running.ts";

/** A whole system under one launcher. `facts` is what each role told when it was ready. */
export type System = {
  url: string;
  facts: Record<RoleName, Record<string, unknown>>;
  pid(role: RoleName): number | null;
  stop(): Promise<void>;
};

export type Progress = (text: string) => void;

/**
 * Starts everything: the database (embedded unless DATABASE_URL names one), the schema, then gateway, worker and
 * sandbox worker as processes of their own. One that dies is started again. Throws `conflict` when the data folder
 * already has a running system, `config_invalid` before anything is started when a file is wrong.
 */
export async function launch(config: Config, progress: Progress = () => {}): Promise<System> {
  await checkFiles(config);
  await mkdir(config.dataDir, { recursive: true, mode: 0o711 });
  const running = await runningSystem(config.dataDir);
  if (running) {
    throw new Failure(
      "conflict",
      `a system already runs in ${config.dataDir}, at ${running.url}; \`dagent down\` stops it`,
    );
  }

  const port = await portFor(config);
  const server = await openDatabase(config, progress);
  try {
    return await startRoles({ ...config, port, databaseUrl: server.url }, server, progress);
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Reads every file of the operator, so that a wrong one is named before anything runs. */
export async function checkFiles({ configDir }: Config): Promise<void> {
  for (const name of policyNames) await loadPolicy(configDir, name);
}

/** The database of a configuration, running and with the newest schema. Stopping it stops only what we started. */
export async function openDatabase(config: Config, progress: Progress = () => {}): Promise<Server> {
  const url = config.databaseUrl;
  progress(url ? "database: the one of DATABASE_URL" : "database: embedded Postgres");
  const server = url ? { url, home: "", adopted: true, stop: async () => {} } : await startServer(config.dataDir);
  const sql = connect(server.url, { max: 1 });
  try {
    const ran = await migrate(sql, migrationsFolder);
    if (ran.length > 0) progress(`schema: ${ran.length} migrations`);
  } finally {
    await sql.end();
  }
  return server;
}

async function startRoles(
  config: Config & { databaseUrl: string },
  server: Server,
  progress: Progress,
): Promise<System> {
  const { dataDir, logFolder } = await openLogs(config.dataDir);
  const keeping = await environments(config);
  const kept = new Map<RoleName, Kept>();
  const stop = async () => {
    await Promise.all([...kept.values()].map((one) => one.stop()));
    await server.stop();
    await forgetRunning(dataDir);
  };
  const start = async (role: RoleName) => {
    const one = await keepRole(role, { environment: keeping[role], logFolder, progress });
    kept.set(role, one);
    return one.facts;
  };

  const starting = [start("gateway"), start("worker"), start("sandbox")] as const;
  const failed = (await Promise.allSettled(starting)).find((one) => one.status === "rejected");
  if (failed) {
    await stop();
    throw failed.reason;
  }
  const [gateway, worker, sandbox] = await Promise.all(starting);
  const facts = { gateway, worker, sandbox };
  const url = String(facts.gateway.url);
  await noteRunning(dataDir, url);
  return { url, facts, pid: (role) => kept.get(role)?.pid() ?? null, stop };
}

/** What each role is told. The sandbox worker learns its hub and its token, and no key to anything else. */
async function environments(config: Config & { databaseUrl: string }) {
  const hubPort = String(await freePort());
  const SANDBOX_TOKEN = config.sandbox.token ?? randomBytes(24).toString("hex");
  const plain = { SANDBOX_HUB_CERT: "", SANDBOX_HUB_KEY: "" }; // nobody else's machine is between the two
  const hub = { SANDBOX_TOKEN, SANDBOX_HUB_HOST: "127.0.0.1", SANDBOX_HUB_PORT: hubPort, ...plain };
  return {
    gateway: childEnvironment(config, {}),
    worker: childEnvironment(config, hub),
    sandbox: sandboxEnvironment({
      SANDBOX_TOKEN,
      SANDBOX_HUBS: `ws://127.0.0.1:${hubPort}`,
      SANDBOX_DEPOT: config.sandbox.depot.folder,
      CONFIG_DIR: config.configDir,
    }),
  };
}

/** The folder of the roles' logs; those of the last start are kept as `<role>.log.1`. */
async function openLogs(dataDir: string) {
  const logFolder = join(dataDir, "log");
  await mkdir(logFolder, { recursive: true, mode: 0o700 });
  for (const role of ["gateway", "worker", "sandbox"]) {
    const file = join(logFolder, `${role}.log`);
    await rename(file, `${file}.1`).catch(() => {}); // there was none
  }
  return { dataDir, logFolder };
}

/** The port to listen on. A gateway whose launcher was killed lets go of it in a moment. */
async function portFor({ host, port, portAutofree, dataDir }: Config): Promise<number> {
  if (port === 0) return freePort();
  const patienceMs = (await wasKilled(dataDir)) ? 10_000 : 0;
  for (let waitedMs = 0; waitedMs <= patienceMs; waitedMs += 100) {
    if (await isFree(host, port)) return port;
    if (patienceMs > 0) await pause(100);
  }
  if (portAutofree) return freePort();
  throw new Failure("conflict", `port ${port} is taken: set PORT to another, or PORT_AUTOFREE=true to take any`);
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, host, () => probe.close(() => resolve(true)));
  });
}
