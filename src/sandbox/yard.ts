import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Limits } from "../contracts/limits.ts";
import { type Disk, openDisks } from "./disks.ts";
import { layRoot, readable } from "./folder.ts";
import { type Mount, readMounts } from "./mounts.ts";
import type { Program } from "./programs.ts";
import { quoteAll } from "./quote.ts";
import { openShell, type Shell } from "./shell.ts";
import { openStarter, type Starter } from "./starter.ts";
import type { Tool } from "./tools.ts";

/**
 * A mount namespace of this worker's own, in which its boxes begin: what they share is mounted here once, and their disks
 * before they need them. Nobody else on this host sees any of it, and it ends with the worker, however that ends.
 */
export type Yard = {
  path: string; // of the folder that all of it is in
  dev: string; // what boxes see as /dev
  root(programs: Program[], binds: string[]): Promise<string>; // what boxes see as / : the same folder for the same wish
  depot: string; // where the worker's depot is, if it has one
  disk(size: Limits["size"], uid: number | null): Promise<Disk>; // a new one, its folders owned by that user
  starter(number: number, uid: number | null): Promise<Starter>; // who begins the box of that number, and nobody else's
  isEnded(): boolean; // somebody ended it: it is of no use any more
  close(): void;
};

export type YardOptions = {
  tools: Record<Tool, string>;
  shown: string[]; // the paths of this host that boxes may be shown, besides the system's own
  depot: string | null; // a folder of this host that is to be reached from the yard too
  accounts: string[]; // of the account tree: what begins boxes is to have them open
  clear: string[]; // as in a box's plan
  openFiles: number; // the most that any box may be given
};

/** The devices of a box, and their numbers. */
const devices = {
  null: ["1", "3"],
  zero: ["1", "5"],
  full: ["1", "7"],
  random: ["1", "8"],
  urandom: ["1", "9"],
  tty: ["5", "0"],
};

/**
 * Opens a yard whose mount points are in `path`, a folder of this worker's. As root, boxes are entered as a user of their
 * own; a plain user gets a user namespace too, in which to be root. What cannot be done throws `sandbox_unavailable` with
 * the words of the system.
 */
export async function openYard(
  path: string,
  { tools, shown, depot, accounts, clear, openFiles }: YardOptions,
): Promise<Yard> {
  readable(() => mkdirSync(path));
  const asRoot = process.getuid?.() === 0;
  const shell = openShell([tools.unshare, ...(asRoot ? [] : ["-r"]), "-m", "--", "/bin/sh"]);
  await shell.order("cd /");
  const dev = join(path, "dev");
  await makeDevices(dev, { shell, tools, asRoot });
  const depotHere = join(path, "depot");
  if (depot !== null) {
    readable(() => mkdirSync(depotHere));
    await shell.order(quoteAll([tools.mount, "--bind", depot, depotHere]));
  }
  if (asRoot) {
    const needed = [path, "/dev", "/proc", ...Object.values(tools)];
    const rest = unneeded(readMounts(), needed, [...system, ...shown]);
    if (rest.length > 0) await shell.order(`${quoteAll([tools.umount, "-l", ...rest])} || true`);
  }
  const desk = { inYard: join(path, "desk"), here: `/proc/${shell.pid}/root${join(path, "desk")}` };
  readable(() => mkdirSync(desk.inYard));
  const small = ["-t", "tmpfs", "-o", "size=4m,mode=0755,nosuid,nodev", "dagent", desk.inYard];
  await shell.order(quoteAll([tools.mount, ...small]));
  const disks = openDisks(path, { shell, tools, desk });
  const starters = new Map<number, Promise<Starter>>();
  let begun = 0;
  const roots = new Map<string, Promise<string>>();
  const namespaces = (name: string) => `/proc/${shell.pid}/ns/${name}`;
  const asOwner = [`--user=${namespaces("user")}`, "--preserve-credentials"];

  async function makeRoot(programs: Program[], binds: string[]): Promise<string> {
    const at = join(path, `root-${roots.size}`);
    const places = layRoot(at, { programs, binds });
    await shell.order(places.map(({ from, to }) => quoteAll([tools.mount, "--rbind", from, to])).join(" && "));
    return at;
  }

  const enter = [tools.nsenter, ...(asRoot ? [] : asOwner), `--mount=${namespaces("mnt")}`];

  /** The one that is there, or a new one when somebody has ended it. */
  async function starter(number: number, uid: number | null): Promise<Starter> {
    const known = await starters.get(number)?.catch(() => null);
    if (known && !known.isEnded()) return known;
    const name = `starter-${++begun}`;
    const opening = openStarter({ desk, name, shell, tools, clear, enter, openFiles, uid, accounts });
    starters.set(number, opening);
    return opening;
  }

  return {
    path,
    dev,
    root(programs, binds) {
      const wish = JSON.stringify([programs, binds]);
      const known = roots.get(wish) ?? makeRoot(programs, binds);
      roots.set(wish, known);
      return known;
    },
    depot: depotHere,
    disk: disks.take,
    starter,
    isEnded: shell.isEnded,
    close() {
      disks.close();
      for (const each of starters.values()) each.then(({ close }) => close()).catch(() => {});
      shell.close();
    },
  };
}

/** Folders of the system that boxes are shown, with all that is mounted in them. */
const system = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"];

/**
 * The mounts that boxes have no use for, the topmost of each kind: bwrap reads the list of all for each thing it shows.
 *
 * needed  paths that must stay reachable
 * shown   paths that must stay as they are, with all below them
 */
export function unneeded(mounts: Mount[], needed: string[], shown: string[]): string[] {
  const real = [...needed, ...shown].flatMap((path) => [path, realPath(path)]);
  const whole = shown.flatMap((path) => [path, realPath(path)]);
  const isBelow = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);
  const rest = mounts
    .map(({ at }) => at)
    .filter((at) => at !== "/")
    .filter((at) => !real.some((path) => isBelow(path, at)) && !whole.some((folder) => isBelow(at, folder)));
  return rest.filter((at) => !rest.some((above) => above !== at && isBelow(at, above)));
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // not there
  }
}

/** Makes a /dev for all boxes. Root makes the devices; a plain user, who may not, shows those of this host. */
async function makeDevices(
  at: string,
  { shell, tools, asRoot }: { shell: Shell; tools: Record<Tool, string>; asRoot: boolean },
): Promise<void> {
  readable(() => mkdirSync(at));
  const size = "size=64k,mode=0755,nosuid";
  if (asRoot) await shell.order(quoteAll([tools.mount, "-t", "tmpfs", "-o", size, "dagent", at]));
  const inYard = `/proc/${shell.pid}/root${at}`;
  readable(() => {
    for (const name of ["pts", "shm"]) mkdirSync(join(inYard, name));
    for (const [name, to] of Object.entries({ fd: "", stdin: "/0", stdout: "/1", stderr: "/2" }))
      symlinkSync(`/proc/self/fd${to}`, join(inYard, name));
    symlinkSync("pts/ptmx", join(inYard, "ptmx"));
    if (!asRoot) for (const name of Object.keys(devices)) writeFileSync(join(inYard, name), "");
  });
  const make = ([name, numbers]: [string, string[]]) =>
    asRoot
      ? quoteAll([tools.mknod, "-m", "0666", join(at, name), "c", ...numbers])
      : quoteAll([tools.mount, "--bind", `/dev/${name}`, join(at, name)]);
  await shell.order(Object.entries(devices).map(make).join(" && "));
  if (asRoot) await shell.order(quoteAll([tools.mount, "-o", "remount,ro", at]));
}
