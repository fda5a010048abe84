import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { Limits } from "../contracts/limits.ts";
import { boxFiles1, controllers1, cpuMs1, usage1 } from "./cgroup1.ts";
import { boxFiles2, controllers2, cpuMs2, usage2 } from "./cgroup2.ts";
import { isAlive, newIdentity } from "./identity.ts";
import { kernelText } from "./kernel.ts";
import { type Mount, readMounts } from "./mounts.ts";

/** What the kernel's account of a box says. Counts only grow. */
export type Usage = {
  cpuMs: number; // of every process the box ever had
  memoryBytes: number; // once a process was ended for memory: the most it held at once, or what it holds now
  oomKills: number; // processes ended for memory
  refusedForks: number; // processes and threads that were not allowed to begin
};

/** The kernel's account of one box, and the grip on all its processes. */
export type Cgroup = {
  tasks: string | null; // v1: below each folder of the tree; who writes `0` to it is in the account
  take(pid: number): Promise<void>; // v2: that process, and all that it begins, is in the account
  usage(): Usage;
  cpuMs(): number; // as in usage, and nothing else
  processes(): number; // and threads, in it now
  kill(): void; // whoever is in it
  close(): Promise<void>; // kills who is left and takes the account away
};

/** Where the accounts of this worker's boxes are. */
export type CgroupTree = {
  version: 1 | 2;
  folders: string[]; // one in each hierarchy
  open(name: string, limits: Limits, uid: number | null): Cgroup; // which that user may enter
  close(): Promise<void>;
};

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
  const where: Places = new Map();
  let opened = 0;
  return {
    version,
    folders,
    open(name, limits, uid) {
      const own = `${name}-${++opened}`; // its counts begin at nothing, whatever became of the one before
      const at = { folders: folders.map((folder) => join(folder, own)), where };
      const tasks = version === 1 ? join(own, "tasks") : null;
      if (tasks === null || uid === null) return { tasks, ...openCgroup(version, at, limits) };
      const opening = openCgroup(version, at, limits);
      for (const folder of folders) chownSync(join(folder, tasks), uid, uid);
      return { tasks, ...opening };
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

function openCgroup(
  version: 1 | 2,
  { folders, where }: { folders: string[]; where: Places },
  limits: Limits,
): Omit<Cgroup, "tasks"> {
  const files = version === 1 ? boxFiles1(limits) : boxFiles2(limits);
  for (const folder of folders) mkdirSync(folder);
  const at = (file: string) => {
    const known = where.get(file) ?? folders.findIndex((folder) => existsSync(join(folder, file)));
    where.set(file, known);
    return known < 0 ? null : join(folders[known] ?? "", file);
  };
  for (const { file, value, required } of files) {
    const path = at(file);
    if (path) writeFileSync(path, value);
    else if (required) throw new Error(`the cgroup has no ${file}`);
  }
  const read = (file: string) => kernelText(at(file) ?? file);
  return {
    async take(pid) {
      // v1 takes who comes by itself at once. Whoever is brought, and a whole process, waits for every processor.
      if (version === 2) for (const folder of folders) await writeFile(join(folder, "cgroup.procs"), String(pid));
    },
    usage: () => (version === 1 ? usage1(read) : usage2(read)),
    cpuMs: () => (version === 1 ? cpuMs1(read) : cpuMs2(read)),
    processes: () => Number(read("pids.current")),
    kill() {
      for (const pid of membersOf(folders[0] ?? "")) kill(pid); // whoever is in one is in all
    },
    async close() {
      for (const folder of folders) await removeTree(folder);
    },
  };
}

/** In which of the hierarchies a file is; below nothing: in none. The same for every account. */
type Places = Map<string, number>;

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
  try {
    return kernelText(join(folder, "cgroup.procs")).split("\n").filter(Boolean).map(Number);
  } catch {
    return []; // it is gone
  }
}

function folders(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
}

/** Kills whoever is in there and takes the folders away, the deepest first. Throws when one does not die within 2 s. */
async function removeTree(folder: string): Promise<void> {
  for (let round = 0; !isRemoved(folder); round++) {
    if (round === 400) throw new Error(`${folder} is not empty: ${membersOf(folder).join()}`);
    for (const name of folders(folder)) await removeTree(join(folder, name));
    for (const pid of membersOf(folder)) kill(pid);
    if (round > 0) await setTimeout(5); // the last exit takes a moment
  }
}

function isRemoved(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch {
    return !existsSync(folder);
  }
}

function kill(pid: number): void {
  try {
    if (pid > 1) process.kill(pid, "SIGKILL");
  } catch {
    // it has ended in between
  }
}
