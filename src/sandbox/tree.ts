import { readdirSync, statSync } from "node:fs";
import { boxProcesses } from "./cgroup1.ts";
import { kernelText } from "./kernel.ts";

/** What the processes of a box use together, as far as /proc tells it. */
export type TreeUse = { cpuMs: number; memoryBytes: number; pids: number };

const ticksMs = 10; // USER_HZ is 100 on every Linux that Node runs on
const mostProcesses = 5000;

/**
 * Adds up a box's processes, found from its first one downwards: for a class that has no account of the kernel's. It
 * sees who is alive now and what its ended children have used; a process between two looks, it does not. Memory is what
 * is private or shared between processes, not what is a file's. `pids` leaves out the box's own one.
 */
export function readTree(first: number): TreeUse {
  const use: TreeUse = { cpuMs: 0, memoryBytes: 0, pids: 1 - boxProcesses };
  const left = [first];
  for (let seen = 0; seen < mostProcesses; seen++) {
    const pid = left.pop();
    if (pid === undefined) break;
    try {
      const threads = readdirSync(`/proc/${pid}/task`);
      for (const thread of threads) left.push(...childrenOf(pid, thread));
      use.pids += threads.length;
      use.cpuMs += cpuOf(pid);
      use.memoryBytes += memoryOf(pid);
    } catch {
      // it has ended in between
    }
  }
  return use;
}

/**
 * The processes and threads of a box, without its own one: quick enough to be done all the time, for what comes to its
 * limit and goes within milliseconds. Stops at `enough`.
 */
export function countTasks(first: number, enough: number): number {
  let tasks = 1 - boxProcesses;
  const left = [first];
  for (let pid = left.pop(); pid !== undefined && tasks < enough; pid = left.pop()) {
    try {
      const threads = statSync(`/proc/${pid}/task`).nlink - 2; // a folder has a link from each folder in it, and two of its own
      tasks += threads;
      for (const thread of threads === 1 ? [pid] : readdirSync(`/proc/${pid}/task`))
        left.push(...childrenOf(pid, thread));
    } catch {
      // it has ended in between
    }
  }
  return tasks;
}

/** The processes that this thread of a process has begun, and that have not ended. */
export function childrenOf(pid: number, thread: string | number): number[] {
  return kernelText(`/proc/${pid}/task/${thread}/children`).split(" ").filter(Boolean).map(Number);
}

/** User and system time, its own and that of its children that have ended: fields 14 to 17 of stat. */
function cpuOf(pid: number): number {
  const stat = kernelText(`/proc/${pid}/stat`);
  const fields = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 15);
  return fields.reduce((sum, field) => sum + Number(field), 0) * ticksMs;
}

function memoryOf(pid: number): number {
  const status = kernelText(`/proc/${pid}/status`);
  const kilobytes = [...status.matchAll(/^Rss(?:Anon|Shmem):\s+(\d+) kB/gm)].map(([, number]) => Number(number));
  return kilobytes.reduce((sum, number) => sum + number, 0) * 1024;
}
