import type { Limits } from "../contracts/limits.ts";
import type { Usage } from "./cgroup.ts";

/** What is needed of cgroup v1; each may be a hierarchy of its own. */
export const controllers1 = ["memory", "pids", "cpuacct", "cpu"];

/** What to write into a box's folders, in this order. Swap is closed where the kernel counts it. */
export function boxFiles1({ size, process }: Limits): { file: string; value: string; required: boolean }[] {
  return [
    { file: "memory.limit_in_bytes", value: String(size.memory_bytes), required: true },
    { file: "memory.memsw.limit_in_bytes", value: String(size.memory_bytes), required: false },
    { file: "memory.swappiness", value: "0", required: false },
    { file: "pids.max", value: String(process.pids + boxProcesses), required: true },
    { file: "cpu.cfs_period_us", value: "100000", required: false },
    { file: "cpu.cfs_quota_us", value: String(Math.round(process.cpus * 100_000)), required: false },
  ];
}

/** bwrap outside, and the shell that begins the steps. */
export const boxProcesses = 2;

/** Reads the account. `read` gives the text of a file of the box's folders. */
export function usage1(read: (file: string) => string): Usage {
  const oomKills = counter(read("memory.oom_control"), "oom_kill");
  return {
    cpuMs: cpuMs1(read),
    memoryBytes: oomKills > 0 ? Number(read("memory.max_usage_in_bytes")) : 0,
    oomKills,
    refusedForks: counter(read("pids.events"), "max"),
  };
}

/** The part of the account that is asked for most. */
export function cpuMs1(read: (file: string) => string): number {
  return Number(read("cpuacct.usage")) / 1e6;
}

/** The number behind a name in a file of `name number` lines; 0 when it is not there. */
export function counter(text: string, name: string): number {
  const line = text.split("\n").find((each) => each.startsWith(`${name} `));
  return line ? Number(line.slice(name.length + 1)) : 0;
}
