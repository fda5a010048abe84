import { readdirSync } from "node:fs";
import { kernelText } from "./kernel.ts";

const closeOnExec = 0o2000000;

/**
 * Open files above `from` that a child would inherit: whoever started this worker left them open. Node marks its own to
 * be closed; these it does not know of, so a box must be given something else in their place. Looked for once: none comes
 * later.
 */
export function inheritedFiles(from: number): number[] {
  known ??= readdirSync("/proc/self/fd").map(Number).filter(isInherited);
  return known.filter((fd) => fd > from);
}

let known: number[] | null = null;

function isInherited(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(kernelText(`/proc/self/fdinfo/${fd}`))?.[1] ?? "0";
    return (Number.parseInt(flags, 8) & closeOnExec) === 0;
  } catch {
    return false; // the folder's own file, closed by now
  }
}
