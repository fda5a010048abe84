import { existsSync } from "node:fs";
import { join } from "node:path";
import { searchPath } from "./config.ts";

/** Where a program is on PATH, or in the folders root's PATH would have; null when it is not installed. */
export function findProgram(name: string): string | null {
  const folders = [...searchPath().split(":"), "/usr/sbin", "/sbin"];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}
