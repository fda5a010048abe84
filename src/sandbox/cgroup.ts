import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { Limits } from "../contracts/limits.ts";
import { boxFiles1, controllers1, cpuMs1, usage1 } from "./cgroup1.ts";
import { boxFiles2, controllers2, cpuMs2, usage2 } from "./cgroup2.ts";
import { isAlive, newIdentity } from "./identity.ts";
import { type Mount, readMounts } from "./mounts.ts";

/** What the kernel's account of a box says. Counts only grow. */
export type Usage = {
  cpuMs: number; // of every process the box ever had
  memoryBytes: number; // the most it held at once, or what it holds now, as the kernel has it
  oomKills: number; // processes ended for memory
  refusedForks: number; // processes and threads that were not allowed to begin
};

/** The kernel's account of one box, and the grip on all its processes. */
export type Cgroup = {
  join: string[]; // files to write `0` to: whoever does is in the box's account
  usage(): Usage;
  cpuMs(): number; // as in usage, and nothing else
  processes(): number; // and threads, in it now
  kill(): void; // whoever is in it
  close(): Promise<void>; // kills who is left and takes the account away
};

/** Where the accounts of this worker's boxes are. */
export type CgroupTree = { version: 1 | 2; open(name: string, limits: Limits): Cgroup; close(): Promise<void> };

const top = "dagent-sandbox"; // below the root of every hierarchy: one folder for each worker, in it one for each box

/**
 * A tree to make accounts in, in cgroup v1 or v2, whichever has memory, pids and cpu.
 * Throws what the system says when it may not be written.
 */
export function openCgroupTree(): CgroupTree {
  const hierarchies = findHierarchies(readMounts());
  if (!hierarchies) throw new Error("no cgroup hierarchy offers memory, pids and cpu");
  const { version, roots } = hierarchies;
  if (version === 2) for (const root of roots) grant(root);
  const owner = newIdentity();
  const folders = roots.map((root) => join(root, top, owner));
  for (const folder of folders) {
    mkdirSync(folder, { recursive: true });
    if (version === 2) for (const above of [join(folder, ".."), folder]) grant(above);
  }
  let opened = 0;
  return {
    version,
    open(name, limits) {
      const own = `${name}-${++opened}`; // its counts begin at nothing, whatever became of the one before
      return openCgroup(
        version,
        folders.map((folder) => join(folder, own)),
        limits,
      );
    },
    async close() {
      for (const folder of folders) await removeTree(folder);
    },
  };
}

/** The hierarchies that together account for memory, processes and cpu; null when something is missing. */
export function findHierarchies(mounts: Mount[]): { version: 1 | 2; roots: string[] } | null {
  const ones = controllers1.map((name) =>
    mounts.find(({ kind, options }) => kind === "cgroup" && options.includes(name)),
  );
  const roots = ones.flatMap((mount) => (mount ? [mount.at] : []));
  if (roots.length === controllers1.length) return { version: 1, roots: [...new Set(roots)] };
  const two = mounts.find(({ kind, at }) => kind === "cgroup2" && offers(at));
  return two ? { version: 2, roots: [two.at] } : null;
}

/** Where the accounts of all workers are: a folder in each hierarchy. */
export function accountFolders(): string[] {
  return (findHierarchies(readMounts())?.roots ?? []).map((root) => join(root, top));
}

/** Ends what workers that are gone have left in the account trees, and removes it. Answers how many boxes that were. */
export async function sweepCgroups(): Promise<number> {
  const left = accountFolders().flatMap((folder) => {
    return (existsSync(folder) ? folders(folder) : [])
      .filter((name) => !isAlive(name))
      .map((name) => join(folder, name));
  });
  for (const folder of left) await removeTree(folder);
  return left.length;
}

function openCgroup(version: 1 | 2, folders: string[], limits: Limits): Cgroup {
  const files = version === 1 ? boxFiles1(limits) : boxFiles2(limits);
  for (const folder of folders) mkdirSync(folder);
  const paths = new Map<string, string | undefined>();
  const at = (file: string) => {
    if (!paths.has(file))
      paths.set(
        file,
        folders.map((folder) => join(folder, file)).find((path) => existsSync(path)),
      );
    return paths.get(file);
  };
  for (const { file, value, required } of files) {
    const path = at(file);
    if (path) writeFileSync(path, value);
    else if (required) throw new Error(`the cgroup has no ${file}`);
  }
  const read = (file: string) => readFileSync(at(file) ?? "", "latin1");
  return {
    // v1 takes a single thread at once; a whole process, as in v2, waits for every processor of the machine.
    join: folders.map((folder) => join(folder, version === 1 ? "tasks" : "cgroup.procs")),
    usage: () => (version === 1 ? usage1(read) : usage2(read)),
    cpuMs: () => (version === 1 ? cpuMs1(read) : cpuMs2(read)),
    processes: () => Number(read("pids.current")),
    kill() {
      for (const pid of folders.flatMap(membersOf)) kill(pid);
    },
    async close() {
      for (const folder of folders) await removeTree(folder);
    },
  };
}

/** Hands the controllers of v2 down to the folders below. The root of a container must be free of processes for that. */
function grant(folder: string): void {
  const wish = controllers2.map((name) => `+${name}`).join(" ");
  const has = readFileSync(join(folder, "cgroup.subtree_control"), "latin1").split(/\s+/);
  if (controllers2.every((name) => has.includes(name))) return;
  try {
    writeFileSync(join(folder, "cgroup.subtree_control"), wish);
  } catch {
    const leaf = join(folder, `${top}-worker`); // a group with processes of its own may not hand down: step aside
    mkdirSync(leaf, { recursive: true });
    writeFileSync(join(leaf, "cgroup.procs"), "0");
    writeFileSync(join(folder, "cgroup.subtree_control"), wish);
  }
}

function offers(root: string): boolean {
  const file = join(root, "cgroup.controllers");
  const has = existsSync(file) ? readFileSync(file, "latin1").trim().split(" ") : [];
  return controllers2.every((name) => has.includes(name));
}

function membersOf(folder: string): number[] {
  const file = join(folder, "cgroup.procs");
  if (!existsSync(file)) return [];
  return readFileSync(file, "latin1").split("\n").filter(Boolean).map(Number);
}

function folders(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
}

/** Kills whoever is in there and takes the folders away, the deepest first. Throws when one does not die within 2 s. */
async function removeTree(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  for (const name of folders(folder)) await removeTree(join(folder, name));
  for (let round = 0; ; round++) {
    for (const pid of membersOf(folder)) kill(pid);
    try {
      return rmdirSync(folder);
    } catch (cause) {
      if (round === 400) throw cause;
      await setTimeout(5); // the last exit takes a moment
    }
  }
}

function kill(pid: number): void {
  try {
    if (pid > 1) process.kill(pid, "SIGKILL");
  } catch {
    // it has ended in between
  }
}
