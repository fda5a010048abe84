import { existsSync, readdirSync, readFileSync } from "node:fs";

/** Clock ticks of /proc a second; it is 100 on every Linux that Node runs on. */
const ticksPerS = 100;

/**
 * CPU that processes have used so far, user and system, in milliseconds: `workers` and `server` with all its children,
 * those that have ended included. Null where there is no /proc.
 */
export function cpuMs({ workers, server }: { workers: number[]; server: number }): number | null {
  if (!existsSync("/proc/self/stat")) return null;
  const children = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(Number(name)))
    .filter((stat) => stat?.parent === server);
  const own = [...workers, server].map(statOf);
  const ticks = [...children, ...own].reduce((sum, stat) => sum + (stat?.ticks ?? 0), 0);
  return ((ticks + (statOf(server)?.ended ?? 0)) * 1000) / ticksPerS;
}

type Stat = { parent: number; ticks: number; ended: number };

/** One line of /proc/<pid>/stat, or null when the process is gone. `ended` is the time of its children that ended. */
function statOf(pid: number): Stat | null {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return null;
  }
}

/** Fields are counted behind the name, which stands in parentheses and may hold anything. */
export function parseStat(line: string): Stat {
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const at = (field: number) => Number(fields[field - 3]); // as proc(5) counts
  return { parent: at(4), ticks: at(14) + at(15), ended: at(16) + at(17) };
}
