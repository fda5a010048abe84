import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../contracts/failure.ts";
import { exitCodes, type Ready } from "./child.ts";
import { packageRoot } from "./paths.ts";

/** The roles of the all-in-one system, each a process. */
export type RoleName = "gateway" | "worker" | "sandbox";

/** A role kept alive: when its process dies it is started again, until it is stopped. */
export type Kept = { facts: Record<string, unknown>; pid(): number | null; stop(): Promise<void> };

export type Keeping = {
  environment: Record<string, string | undefined>;
  logFolder: string; // `<role>.log` is appended to
  progress: (text: string) => void;
};

/** Starts a role and keeps it. Answers once it is ready; throws its Failure when the first start goes wrong. */
export async function keepRole(role: RoleName, { environment, logFolder, progress }: Keeping): Promise<Kept> {
  let stopping = false;
  let current: ChildProcess | null = null;
  let retry: NodeJS.Timeout | undefined;

  async function start(): Promise<Record<string, unknown>> {
    const { child, ready } = spawnRole(role, environment, join(logFolder, `${role}.log`));
    current = child;
    const startedAt = process.hrtime.bigint();
    const facts = await ready;
    child.once("exit", (code, signal) => {
      if (stopping) return;
      progress(`${role} ended with ${signal ?? code}, starting it again`);
      const livedMs = Number((process.hrtime.bigint() - startedAt) / 1_000_000n);
      again(livedMs > 5000 ? 0 : 1000);
    });
    return facts;
  }

  function again(delayMs: number): void {
    retry = setTimeout(() => {
      start().catch((error) => {
        if (stopping) return;
        progress(`${role} did not start: ${error.message}`);
        again(5000);
      });
    }, delayMs);
  }

  return {
    facts: await start(),
    pid: () => current?.pid ?? null,
    async stop() {
      stopping = true;
      clearTimeout(retry);
      if (current) await endChild(current);
    },
  };
}

/**
 * Room for young objects, in megabytes: a worker has thousands of messages in hand that live for some milliseconds, and
 * with less room they are taken for old ones.
 */
export const youngSpace = ["--max-semi-space-size=32", "--min-semi-space-size=32"];

function spawnRole(role: RoleName, env: Record<string, string | undefined>, logFile: string) {
  const entry = join(packageRoot, "dist/src/cli/main.js");
  if (!existsSync(entry)) throw new Failure("config_invalid", "this checkout is not built: run `npm run build`");
  const log = openSync(logFile, "a", 0o600);
  const flags = role === "worker" ? youngSpace : [];
  const child = spawn(process.execPath, [...flags, entry, role], { env, stdio: ["ignore", log, log, "ipc"] });
  const ready = new Promise<Record<string, unknown>>((resolve, reject) => {
    child.once("message", (message: Ready) => {
      if (message.ready) return resolve(message.facts);
      reject(new Failure(message.code, `${role}: ${message.message}`));
    });
    child.once("error", (cause) => reject(new Failure("internal", `${role} could not be started`, { cause })));
    child.once("exit", (code, signal) => {
      const known = code === exitCodes.config ? "config_invalid" : "internal";
      reject(new Failure(known, `${role} ended with ${signal ?? code}; see ${logFile}`));
    });
  });
  return { child, ready };
}

/** SIGTERM, and SIGKILL for a process that does not end within its grace. */
function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const late = setTimeout(() => child.kill("SIGKILL"), 25_000);
    child.once("exit", () => {
      clearTimeout(late);
      resolve();
    });
    child.kill("SIGTERM");
  });
}
