import { z } from "zod";
import type { InstallReport } from "../../contracts/code.ts";
import type { Keep } from "../../contracts/sandbox.ts";
import type { Workspace } from "../../contracts/work.ts";

/** How a project's dependencies are installed; its manager is also the profile of the sandbox. */
export type InstallPlan = {
  manager: InstallReport["manager"];
  command: string; // read by sh
  files: string[]; // of the project, in order: all that decides what is installed
  folder: Keep["folder"]; // where they are then
};

/** A plan, or why there can be none. null: there is nothing to install. */
export type Installing = InstallPlan | { manager: InstallPlan["manager"]; refused: string } | null;

/** The texts that planning needs, where they are there. */
export const installTexts = /^(package-lock\.json|pnpm-lock\.yaml|[\w.-]*(requirements|constraints)[\w.-]*\.txt)$/;

/**
 * Finds out what a project needs installed before its tests. Pure. No code of a package is run by any of the commands.
 *
 * language  as it is spoken in the sandbox: by its beginning, node or python
 * paths     all files of the project
 * texts     those that `installTexts` names
 */
export function planInstall(language: string, paths: Iterable<string>, texts: Workspace): Installing {
  const all = new Set(paths);
  if (language.startsWith("python")) return pip(all, texts);
  if (!language.startsWith("node") || [...all].some((path) => path.startsWith("node_modules/"))) return null;
  if (all.has("package-lock.json") && all.has("package.json")) return npm(all, texts["package-lock.json"] ?? "");
  return all.has("pnpm-lock.yaml") && all.has("package.json") ? pnpm(all, texts["pnpm-lock.yaml"] ?? "") : null;
}

const npmCommand = "npm ci --ignore-scripts --no-audit --no-fund";
const pnpmCommand = "pnpm install --frozen-lockfile --ignore-scripts --package-import-method copy";
const pipCommand = "python3 -m pip install --only-binary :all: --no-compile --target site -r requirements.txt";

/** https://docs.npmjs.com/cli/v11/configuring-npm/package-lock-json; the first version of it has no `packages`. */
const NpmLock = z.object({
  packages: z
    .record(z.string(), z.object({ resolved: z.unknown(), link: z.boolean().default(false) }).partial())
    .default({}),
  dependencies: z.record(z.string(), z.unknown()).default({}),
});

function npm(paths: Set<string>, text: string): Installing {
  const lock = NpmLock.safeParse(json(text));
  if (!lock.success) return { manager: "npm", refused: "package-lock.json cannot be read" };
  const { packages, dependencies } = lock.data;
  const entries = Object.entries(packages).filter(([name]) => name !== "");
  if (entries.length === 0 && Object.keys(dependencies).length === 0) return null;
  const linked = entries.find(([, { link }]) => link)?.[0];
  if (linked !== undefined) {
    const why = `package-lock.json links ${linked} to a folder; only packages can be installed here (npm pack makes one)`;
    return { manager: "npm", refused: why };
  }
  const named = entries.flatMap(([, { resolved }]) => (typeof resolved === "string" ? [resolved] : []));
  const local = named.filter((one) => one.startsWith("file:")).map((one) => decoded(one.slice("file:".length)));
  return withLocal("npm", { lock: "package-lock.json", local, paths }, (files) => ({
    manager: "npm",
    command: npmCommand,
    files: [...present(paths, ["package.json", "package-lock.json", ".npmrc"]), ...files],
    folder: "node_modules",
  }));
}

function pnpm(paths: Set<string>, text: string): Installing {
  if (!/^packages:\s*\n\s+\S/m.test(text)) return null;
  const linked = /(?:^|[\s'"])(link:[^\s'",}]+)/m.exec(text)?.[1];
  if (linked !== undefined) {
    return { manager: "pnpm", refused: `pnpm-lock.yaml names ${linked}: only packages can be installed here` };
  }
  const local = [...text.matchAll(/tarball: ['"]?file:([^\s'",}]+)/g)].map(([, path = ""]) => path);
  return withLocal("pnpm", { lock: "pnpm-lock.yaml", local, paths }, (files) => ({
    manager: "pnpm",
    command: pnpmCommand,
    files: [
      ...present(paths, ["package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml", ".npmrc"]),
      ...[...paths].filter((path) => /^patches\/[^/]+\.patch$/.test(path)).sort(),
      ...files,
    ],
    folder: "node_modules",
  }));
}

/** What of a requirement leads to a folder, or out of the project: https://pip.pypa.io/en/stable/reference/requirements-file-format/ */
const outsideOf = /^(-e\b|--editable\b|\/|\.\.?\/(?!.*\.whl\b)|\.\.?$)|(^|[\s@])file:|(^|[\s/=])\.\.\//;

function pip(paths: Set<string>, texts: Workspace): Installing {
  if (!paths.has("requirements.txt")) return null;
  const lists = [...paths].filter((path) => path.endsWith(".txt") && installTexts.test(path)).sort();
  const lines = lists
    .flatMap((path) => (texts[path] ?? "").split("\n"))
    .map((line) => line.replace(/(^|\s)#.*/, "").trim());
  const own = (texts["requirements.txt"] ?? "").split("\n").filter((line) => !/^\s*(#|$)/.test(line));
  if (own.length === 0) return null;
  const outside = lines.find((line) => outsideOf.test(line));
  if (outside !== undefined) {
    const why = `requirements.txt names ${outside.slice(0, 200)}: only packages and wheels of the project can be installed here`;
    return { manager: "pip", refused: why };
  }
  const wheels = [...paths].filter((path) => /^((vendor|wheels)\/)?[^/]+\.whl$/.test(path)).sort();
  const folders = [...new Set(wheels.map((path) => path.split("/").slice(0, -1).join("/") || "."))];
  const found = folders.map((folder) => ` --find-links ${folder}`).join("");
  return { manager: "pip", command: `${pipCommand}${found}`, files: [...lists, ...wheels], folder: "site" };
}

/** A plan whose lockfile names tarballs of the project, all of which must be in it. */
function withLocal(
  manager: InstallPlan["manager"],
  { lock, local, paths }: { lock: string; local: string[]; paths: Set<string> },
  plan: (files: string[]) => InstallPlan,
): Installing {
  const files = [...new Set(local.map((path) => path.replace(/^(\.\/)+/, "")))].sort();
  const missing = files.find((path) => !paths.has(path) || !/\.(tgz|tar\.gz|tar)$/.test(path));
  if (missing === undefined) return plan(files);
  return { manager, refused: `${lock} names file:${missing}, which is no package file of the project` };
}

function present(paths: Set<string>, names: string[]): string[] {
  return names.filter((name) => paths.has(name));
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What went wrong with an install, by what it printed, and what to do about it. */
export function remedyIn(manager: InstallPlan["manager"], { code, log }: { code: number | null; log: string }): string {
  if (code === 127) return `the sandbox has no ${manager}: install it where the sandbox worker runs`;
  if (/\bENOTCACHED\b|ERR_PNPM_NO_OFFLINE|No matching distribution found|only-if-cached|failed in offline/i.test(log)) {
    return (
      `what is not in the project has to come from a registry, and installs are offline: the operator opens it with ` +
      `\`network\` of the profile '${manager}' and of \`maximum\` in configs/sandbox_limits.json ` +
      `(mode "allowlist" and the registry in \`allow\`); or bring the packages as files of the project`
    );
  }
  if (/not in sync|EUSAGE|FROZEN_LOCKFILE|OUTDATED_LOCKFILE/.test(log)) {
    return "the lockfile does not fit its manifest: install once on your side, and send both";
  }
  return "build-test/install.log has all it printed";
}
