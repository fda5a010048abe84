import { readdirSync, readFileSync } from "node:fs";

/** Clock ticks of /proc a second; it is 100 on every Linux that Node runs on. */
const ticksPerS = 100;

/** CPU used so far, user and system, in milliseconds: of worker processes, and of a server with all that it started. */
export type Cpu = { workers: number; server: number };

/** Reads what processes have used; of the server also what its ended children have. Null where there is no /proc. */
export function cpuOf({ workers, server }: { workers: number[]; server: number }): Cpu | null {
  const own = statOf(server);
  if (!own) return null;
  const children = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => statOf(Number(name)) ?? [])
    .filter(({ parent }) => parent === server);
  return {
    workers: msOf(workers.flatMap((pid) => statOf(pid) ?? [])),
    server: msOf([own, ...children]) + (own.ended * 1000) / ticksPerS,
  };
}

function msOf(stats: Stat[]): number {
  return (stats.reduce((sum, { ticks }) => sum + ticks, 0) * 1000) / ticksPerS;
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
