import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Failure } from "../contracts/failure.ts";
import { stopLeftServer } from "../store/embedded.ts";

/** The launcher that runs in a data folder, and where its gateway listens. */
export type RunningSystem = { pid: number; url: string };

const file = (dataDir: string) => join(dataDir, "up.json");

/** Writes down that this process runs a system, for whoever wants to talk to it or to stop it. */
export async function noteRunning(dataDir: string, url: string): Promise<void> {
  const { pid } = process;
  await writeFile(file(dataDir), JSON.stringify({ pid, born: await birthOf(pid), url }), { mode: 0o600 });
}

/** Takes that back. */
export async function forgetRunning(dataDir: string): Promise<void> {
  await rm(file(dataDir), { force: true });
}

/** The system that runs in a data folder, if one does. What a killed launcher left is no system. */
export async function runningSystem(dataDir: string): Promise<RunningSystem | null> {
  const left = await readNote(dataDir);
  return left && (await isThe(left)) ? { pid: left.pid, url: left.url } : null;
}

/** True when a launcher was killed here: what it had started may still be about to end. */
export async function wasKilled(dataDir: string): Promise<boolean> {
  const left = await readNote(dataDir);
  return left !== null && !(await isThe(left));
}

/** What was stopped: a system, the database that a killed launcher left, or nothing. */
export type Stopped = "system" | "database" | "nothing";

/**
 * Stops what runs in a data folder and waits until it has ended. Throws `attempt_timeout` when it has not within
 * `graceMs`.
 */
export async function stopRunning(dataDir: string, graceMs = 60_000): Promise<Stopped> {
  const running = await readNote(dataDir);
  if (running && (await isThe(running))) {
    process.kill(running.pid, "SIGTERM");
    for (let waitedMs = 0; await isThe(running); waitedMs += 50) {
      if (waitedMs >= graceMs) {
        throw new Failure("attempt_timeout", `the system (process ${running.pid}) has not ended within ${graceMs} ms`);
      }
      await pause(50);
    }
    return "system";
  }
  const left = await stopLeftServer(dataDir);
  await forgetRunning(dataDir);
  return left ? "database" : "nothing";
}

type Note = RunningSystem & { born: string | null };

async function readNote(dataDir: string): Promise<Note | null> {
  const text = await readFile(file(dataDir), "utf8").catch(() => "");
  try {
    const { pid, born = null, url } = JSON.parse(text);
    return Number.isInteger(pid) && pid > 0 && typeof url === "string" ? { pid, born, url } : null;
  } catch {
    return null; // nothing, or half a file
  }
}

/** Whether that very process lives: its number may belong to another by now. */
async function isThe({ pid, born }: Note): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EPERM")) return false; // another account's lives
  }
  const now = await birthOf(pid);
  return born === null || now === null || born === now;
}

/** When a process began, in the kernel's own words (proc(5), starttime); null where the system does not say. */
async function birthOf(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  if (stat === null) return null;
  const [state, ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return state === "Z" ? "ended" : (rest[18] ?? null);
}
