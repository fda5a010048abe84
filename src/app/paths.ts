import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of this package: the same from `src/`, from `dist/` and from an installed tarball. */
export const packageRoot = findRoot(dirname(fileURLToPath(import.meta.url)));

/** The version of this package. */
export const version: string = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")).version;

/** The only schema, for every engine. */
export const migrationsFolder = join(packageRoot, "supabase/migrations");

/** Where the operator's JSON files are: CONFIG_DIR, else `configs/` of the current folder, else the shipped ones. */
export function configFolder(chosen: string | null): string {
  if (chosen) return resolve(chosen);
  return existsSync("configs/retry_policy.json") ? resolve("configs") : join(packageRoot, "configs");
}

/** The folder of an installed package, wherever npm has put it. */
export function packageFolder(name: string): string {
  const entry = createRequire(import.meta.url).resolve(name);
  const marker = join("node_modules", name);
  return entry.slice(0, entry.lastIndexOf(marker) + marker.length);
}

function findRoot(folder: string): string {
  const file = join(folder, "package.json");
  if (existsSync(file) && JSON.parse(readFileSync(file, "utf8")).name === "distributed-agent") return folder;
  return findRoot(dirname(folder));
}
