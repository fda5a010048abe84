import { existsSync, readdirSync, readFileSync } from "node:fs";

/** A process, so that another one with its number is not taken for it. */
export type Process = { pid: number; beganAt: string };

/** All processes below one, those in boxes too. */
export function descendantsOf(pid: number): Process[] {
  const children = namesIn(`/proc/${pid}/task`)
    .flatMap((thread) => textOf(`/proc/${pid}/task/${thread}/children`).split(" ").filter(Boolean))
    .map(Number);
  return children.flatMap((child) => [{ pid: child, beganAt: beginOf(child) }, ...descendantsOf(child)]);
}

export function isAlive({ pid, beganAt }: Process): boolean {
  return beganAt !== "" && beginOf(pid) === beganAt;
}

/** When it began, in ticks since boot; empty when there is none, or it is dead and only not yet waited for by init. */
function beginOf(pid: number): string {
  const stat = textOf(`/proc/${pid}/stat`);
  const [state, ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return state === "Z" || state === "X" ? "" : (rest[18] ?? "");
}

/** The text of a file of the kernel's; empty when it has gone. */
export function textOf(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

/** The names in a folder; none when it has gone. */
export function namesIn(folder: string): string[] {
  try {
    return existsSync(folder) ? readdirSync(folder) : [];
  } catch {
    return [];
  }
}
