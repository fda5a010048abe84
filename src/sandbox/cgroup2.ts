import type { Limits } from "../contracts/limits.ts";
import type { Usage } from "./cgroup.ts";
import { boxProcesses, counter } from "./cgroup1.ts";

/** What is needed of cgroup v2. */
export const controllers2 = ["memory", "pids", "cpu"];

/** What to write into a box's folder, in this order. */
export function boxFiles2({ size, process }: Limits): { file: string; value: string; required: boolean }[] {
  return [
    { file: "memory.max", value: String(size.memory_bytes), required: true },
    { file: "memory.swap.max", value: "0", required: false },
    { file: "memory.oom.group", value: "1", required: false },
    { file: "pids.max", value: String(process.pids + boxProcesses), required: true },
    { file: "cpu.max", value: `${Math.round(process.cpus * 100_000)} 100000`, required: false },
  ];
}

/** Reads the account. `read` gives the text of a file of the box's folder. Its memory is what it holds now. */
export function usage2(read: (file: string) => string): Usage {
  const oomKills = counter(read("memory.events"), "oom_kill");
  return {
    cpuMs: cpuMs2(read),
    memoryBytes: oomKills > 0 ? Number(read("memory.current")) : 0,
    oomKills,
    refusedForks: counter(read("pids.events"), "max"),
  };
}

/** The part of the account that is asked for most. */
export function cpuMs2(read: (file: string) => string): number {
  return counter(read("cpu.stat"), "usage_usec") / 1000;
}
