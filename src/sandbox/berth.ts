import { setTimeout as wait } from "node:timers/promises";
import { Failure } from "../contracts/failure.ts";
import type { Box } from "./box.ts";
import type { Cgroup } from "./cgroup.ts";
import { boxProcesses } from "./cgroup1.ts";
import { kernelText } from "./kernel.ts";

/** A box with all that it holds of this machine: its account and its user. Good for one run. */
export type Berth = {
  box: Box;
  cgroup: Cgroup | null; // null: rootless
  uid: number | null; // who owns what is in it, as this host counts; null: this worker's own user
  close(): Promise<void>; // after the box's end: gives all of it back
};

/** Kills the first process, then whoever the account still holds, and waits until nobody is left, `graceMs` at most. */
export async function endBox({ box, cgroup }: Berth, graceMs: number): Promise<void> {
  box.kill();
  const waiting = new AbortController();
  const late = wait(graceMs, "late", { signal: waiting.signal }).catch(() => "in time");
  const end = await Promise.race([box.ended, late]);
  waiting.abort();
  cgroup?.kill();
  if (end === "late") throw new Failure("sandbox_unavailable", `a box still lived ${graceMs} ms after its end`);
}

/** Ends a box, if it has not ended, and gives back what it held once nobody is left, however long that takes. */
export async function leaveBerth({ box, close }: Berth): Promise<void> {
  for (const stream of [box.stdout, box.stderr]) stream.resume();
  box.kill();
  await box.ended;
  await close();
}

/** Whether a box that has begun nothing is as it was made: somebody else may have ended a part of it. */
export function isWhole({ box, cgroup }: Berth): boolean {
  if (box.isEnded() || !isRunning(box.outside) || !isRunning(box.pid)) return false;
  return cgroup === null || cgroup.processes() === boxProcesses;
}

function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(kernelText(`/proc/${pid}/stat`));
  } catch {
    return false;
  }
}
