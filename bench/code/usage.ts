import { readdirSync, readFileSync } from "node:fs";
import type { System } from "../../src/app/launcher.ts";
import type { RoleName } from "../../src/app/roles.ts";
import { parseStat } from "../bus/cpu.ts";
import { descendantsOf, textOf } from "../sandbox/processes.ts";

/** Whose processor time is counted apart; `sandbox` is the worker with its boxes and what ran in them. */
export const payers = ["gateway", "worker", "sandbox", "database", "client"] as const;
export type Usage = Record<(typeof payers)[number], number>;

const roles: RoleName[] = ["gateway", "worker", "sandbox"];

/** Processor milliseconds used so far, user and system, by the roles of a system, its database and this process. */
export function usageOf(system: System): Usage {
  const { user, system: kernel } = process.cpuUsage();
  const [gateway = 0, worker = 0, sandbox = 0] = roles.map((role) => wholeOf(system.pid(role)));
  return { gateway, worker, sandbox, database: wholeOf(databaseOf()), client: (user + kernel) / 1000 };
}

export function usedBetween(before: Usage, after: Usage): Usage {
  const used = { ...after };
  for (const payer of payers) used[payer] -= before[payer];
  return used;
}

/** Of a process, all below it, and those of its children that have ended. */
function wholeOf(pid: number | null): number {
  if (pid === null) return 0;
  const all = [pid, ...descendantsOf(pid).map((one) => one.pid)].map(statOf);
  return all.reduce((sum, { ticks, ended }) => sum + (ticks + ended) * 10, 0);
}

function statOf(pid: number) {
  const line = textOf(`/proc/${pid}/stat`);
  return line === "" ? { parent: 0, ticks: 0, ended: 0 } : parseStat(line);
}

/** The server that this process started for its system. */
function databaseOf(): number | null {
  const found = readdirSync("/proc").find((name) => {
    if (!/^\d+$/.test(name) || statOf(Number(name)).parent !== process.pid) return false;
    return readCommand(name).endsWith("/bin/postgres");
  });
  return found === undefined ? null : Number(found);
}

function readCommand(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0] ?? "";
  } catch {
    return "";
  }
}

/** The most memory a process has held since `forgetPeak`, in bytes, and what it holds now. */
export function memoryOf(pid: number): { now: number; peak: number } {
  const status = textOf(`/proc/${pid}/status`);
  const kb = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
  return { now: kb("VmRSS") * 1024, peak: kb("VmHWM") * 1024 };
}
