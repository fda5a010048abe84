import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { packageRoot } from "../../src/app/paths.ts";
import { Failure } from "../../src/contracts/failure.ts";

const folder = join(packageRoot, "bench");
const run = promisify(execFile);

/** How a person gets the peers. They are dependencies of the benchmark alone, never of the product. */
export const installPeers = "npm ci --prefix bench";

/** Installs the peers when they are not there. Answers why not, or null when they are there. */
export async function ensurePeers(progress: (text: string) => void): Promise<string | null> {
  if (existsSync(join(folder, "node_modules/pg-boss"))) return null;
  if (!existsSync(join(folder, "package-lock.json"))) return "the peers can be installed in a checkout only";
  progress(`installing the peers: ${installPeers}`);
  const args = ["ci", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  return run("npm", args, { cwd: packageRoot }).then(
    () => null,
    (error) => `${installPeers} failed: ${String(error.stderr || error.message).trim()}`,
  );
}

/** Loads an installed peer and its version. Throws `not_found` when it is not there. */
export async function loadPeer(name: string): Promise<{ module: unknown; version: string }> {
  const manifest = join(folder, "node_modules", name, "package.json");
  if (!existsSync(manifest)) throw new Failure("not_found", `${name} is not installed; do: ${installPeers}`);
  const entry = createRequire(join(folder, "package.json")).resolve(name);
  return {
    module: await import(pathToFileURL(entry).href),
    version: JSON.parse(readFileSync(manifest, "utf8")).version,
  };
}
