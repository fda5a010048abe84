import { readFileSync } from "node:fs";

/**
 * A name for what this process makes on this host: its process id, when it began, in ticks since boot, so that a number
 * used again is not taken for the old one, and a count, so that no two things have the same.
 */
export function newIdentity(): string {
  return `${process.pid}-${startOf(process.pid)}-${++made}`;
}

let made = 0;

/** Whether the process that gave this name still runs. What is no such name belongs to nobody alive. */
export function isAlive(identity: string): boolean {
  const [pid, start] = identity.split("-");
  return start !== undefined && startOf(Number(pid)) === start;
}

/** Field 22 of /proc/PID/stat; the name in field 2 may hold anything, so it is cut off first. Empty: no such process. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const [state, ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return state === "Z" ? "" : (rest[18] ?? ""); // ended, and only not yet noticed by its parent
  } catch {
    return "";
  }
}

/** Boxes that one worker can have at one time: those that run, those that wait and those that end. */
export const mostBoxes = 64;

/**
 * Users that no system gives out by itself (systemd's table, 0x70000000 to 0x7fffffff): one for each box of each process
 * id there can be, so two workers of one host never share one.
 */
export function uidOf(pid: number, box: number): number {
  return 0x70000000 + pid * mostBoxes + box;
}
