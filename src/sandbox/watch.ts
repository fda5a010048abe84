import type { Limits } from "../contracts/limits.ts";
import type { ViolationReason } from "../contracts/sandbox.ts";
import type { Box, DiskUse } from "./box.ts";
import type { Cgroup } from "./cgroup.ts";
import { countTasks, readTree } from "./tree.ts";

/** A limit that was broken: what it is, and what was seen. */
export type Violation = { reason: ViolationReason; limit: number | string; observed: number | string };

/** What a look at a box shows. null: this class cannot see it. */
export type Reading = {
  wallMs: number;
  cpuMs: number | null;
  memory: { bytes: number; kills: number } | null; // kills: processes the kernel has ended for memory
  pids: { now: number; refused: number } | null; // refused: processes the kernel did not let begin
  disk: DiskUse;
  networkAttempts: number;
};

/** The limits that a reading breaks, those first that explain the others. Pure. */
export function judge({ time, size, process, network }: Limits, reading: Reading): Violation[] {
  const { memory, pids, disk, cpuMs, wallMs, networkAttempts } = reading;
  const broken: Violation[] = [];
  const add = (reason: ViolationReason, limit: number | string, observed: number | string) =>
    broken.push({ reason, limit, observed: typeof observed === "number" ? Math.round(observed) : observed });

  if (memory && memory.kills > 0) add("memory", size.memory_bytes, Math.max(memory.bytes, size.memory_bytes));
  else if (memory && memory.bytes > size.memory_bytes) add("memory", size.memory_bytes, memory.bytes);
  if (pids && pids.refused > 0) add("pids", process.pids, process.pids + 1);
  else if (pids && pids.now >= process.pids) add("pids", process.pids, pids.now);
  if (disk.full) add("disk", size.disk_bytes, disk.used);
  if (disk.inodesFull) add("inodes", size.inodes, disk.inodes);
  if (networkAttempts > 0 && network.on_attempt === "fail") add("network", network.mode, `${networkAttempts} attempts`);
  if (cpuMs !== null && cpuMs > time.cpu_ms) add("time.cpu", time.cpu_ms, cpuMs);
  if (wallMs >= time.wall_ms) add("time.wall", time.wall_ms, wallMs);
  return broken;
}

/** The eye on one box: looks often, and ends it when a limit is broken. */
export type Watch = {
  broken: Violation[]; // in the order they were seen, each reason once
  cpuMs(): number | null; // so far
  look(): number | null; // at the end of a step, and not only when it is time; answers as cpuMs
  report(violation: Violation): void; // a limit that somebody else saw broken
  close(): void; // looks no more
};

const lookMs = { counted: 20, uncounted: 50 }; // an account is one file; adding up processes is many
const networkEvery = 4; // looks: the kernel adds its counters up over all processors for it
const countMs = 3; // where nobody notes a process that was refused: a bomb comes to its limit and is gone in 10 ms

/** Begins to watch. The clock of the run starts here. */
export function openWatch(box: Box, { cgroup, limits }: { cgroup: Cgroup | null; limits: Limits }): Watch {
  const beganAt = performance.now();
  const broken: Violation[] = [];
  let closed = false;

  function report(violation: Violation): void {
    if (closed) return;
    if (!broken.some(({ reason }) => reason === violation.reason)) broken.push(violation);
    box.kill();
  }
  function look(withNetwork: boolean): number | null {
    if (closed) return null;
    const reading = read(box, cgroup, beganAt);
    const networkAttempts = withNetwork ? box.networkAttempts() : 0;
    for (const violation of judge(limits, { ...reading, networkAttempts })) report(violation);
    return reading.cpuMs;
  }
  let looks = 0;
  const lookOften = () => void look(++looks % networkEvery === 0);
  const looking = setInterval(lookOften, cgroup ? lookMs.counted : lookMs.uncounted);
  const alarm = setTimeout(lookOften, limits.time.wall_ms);
  let counting = cgroup ? undefined : setTimeout(count, countMs);

  /** At the limit is over it: the next one was, or would be, refused. Takes no more than a tenth of the time. */
  function count(): void {
    const before = performance.now();
    countNow(limits.process.pids);
    counting = setTimeout(count, Math.max(countMs, 10 * (performance.now() - before)));
  }
  function countNow(most: number): void {
    if (closed || box.isEnded()) return;
    const observed = countTasks(box.pid, most);
    if (observed >= most) report({ reason: "pids", limit: limits.process.pids, observed });
  }
  return {
    broken,
    look() {
      const cpuMs = look(true);
      if (!cgroup) countNow(limits.process.pids - 1); // the step's own process has gone
      return cpuMs;
    },
    report,
    cpuMs: () => (cgroup ? cgroup.cpuMs() : box.isEnded() ? null : readTree(box.pid).cpuMs),
    close() {
      closed = true;
      clearInterval(looking);
      clearTimeout(counting);
      clearTimeout(alarm);
    },
  };
}

function read(box: Box, cgroup: Cgroup | null, beganAt: number): Omit<Reading, "networkAttempts"> {
  const common = { wallMs: performance.now() - beganAt, disk: box.disk() };
  if (cgroup) {
    const { cpuMs, memoryBytes, oomKills, refusedForks } = cgroup.usage();
    const memory = { bytes: memoryBytes, kills: oomKills };
    return { ...common, cpuMs, memory, pids: { now: 0, refused: refusedForks } };
  }
  if (box.isEnded()) return { ...common, cpuMs: null, memory: null, pids: null };
  const { cpuMs, memoryBytes, pids } = readTree(box.pid);
  return { ...common, cpuMs, memory: { bytes: memoryBytes, kills: 0 }, pids: { now: pids, refused: 0 } };
}
