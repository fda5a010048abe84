import { readdirSync, readFileSync } from "node:fs";

/** The ids of processes of this host whose command line holds the words. */
export function processesWith(words: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ").includes(words);
    } catch {
      return false;
    }
  });
}
