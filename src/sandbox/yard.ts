import { chownSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Limits } from "../contracts/limits.ts";
import { diskOptions } from "./chain.ts";
import { layRoot } from "./folder.ts";
import type { Program } from "./programs.ts";
import { quoteAll } from "./quote.ts";
import { openShell } from "./shell.ts";
import type { Tool } from "./tools.ts";

/** The sized disk of one box, in which it has its folders work, tmp, shm and home. */
export type Disk = {
  path: string; // in the yard
  taken(): void; // the box is made: the yard lets go of the disk, and it ends with its box
};

/**
 * A mount namespace of this worker's own, in which its boxes begin: what they share is mounted here once, and their disks
 * before they need them. Nobody else on this host sees any of it, and it ends with the worker, however that ends.
 */
export type Yard = {
  enter: string[]; // a command that runs the rest of its arguments in the yard
  root(programs: Program[], binds: string[]): Promise<string>; // what boxes see as / : the same folder for the same wish
  disk(size: Limits["size"], uid: number | null): Promise<Disk>; // a new one, its folders owned by that user
  isEnded(): boolean; // somebody ended it: it is of no use any more
  close(): void;
};

const together = 4; // disks of one size that are mounted, and let go of, by one command

/**
 * Opens a yard whose mount points are in `path`, a folder of this worker's. As root, boxes are entered as a user of their
 * own; a plain user gets a user namespace too, in which to be root. What cannot be done throws `sandbox_unavailable` with
 * the words of the system.
 */
export async function openYard(path: string, tools: Record<Tool, string>): Promise<Yard> {
  const asRoot = process.getuid?.() === 0;
  const shell = openShell([tools.unshare, ...(asRoot ? [] : ["-r"]), "-m", "--", "/bin/sh"]);
  await shell.order("cd /");
  const namespaces = (name: string) => `/proc/${shell.pid}/ns/${name}`;
  const asOwner = [`--user=${namespaces("user")}`, "--preserve-credentials"];
  const roots = new Map<string, Promise<string>>();
  const spare: { kind: string; at: string }[] = [];
  const free: string[] = []; // mount points
  const leaving: string[] = [];
  let kindBefore = "";
  let made = 0;

  async function makeRoot(programs: Program[], binds: string[]): Promise<string> {
    const at = join(path, `root-${++made}`);
    const shown = layRoot(at, { programs, binds });
    await shell.order(shown.map(({ from, to }) => quoteAll([tools.mount, "--rbind", from, to])).join(" && "));
    return at;
  }

  /** A disk of that size that nobody had before. */
  async function unused(kind: string): Promise<string> {
    for (;;) {
      const index = spare.findIndex((each) => each.kind === kind);
      const [found] = index < 0 ? [] : spare.splice(index, 1);
      if (found) return found.at;
      leaving.push(...spare.splice(0).map(({ at }) => at)); // nobody asks for their size any more
      await mountDisks(kind, kind === kindBefore ? together : 1);
      kindBefore = kind;
    }
  }

  async function mountDisks(kind: string, count: number): Promise<void> {
    const places = Array.from({ length: count }, () => free.pop() ?? makePlace());
    const table = join(path, `disks-${++made}`);
    writeFileSync(table, places.map((at) => `dagent ${at} tmpfs ${kind} 0 0\n`).join(""));
    await shell.order(quoteAll([tools.mount, "-a", "-T", table])).finally(() => rmSync(table));
    for (const at of places) spare.push({ kind, at });
  }

  function makePlace(): string {
    const at = join(path, `disk-${++made}`);
    mkdirSync(at, 0o755);
    return at;
  }

  /** The boxes hold these disks by now; without the yard's own hold, each ends with its box. */
  function letGo(): void {
    const places = leaving.splice(0);
    shell.order(quoteAll([tools.umount, "-l", ...places])).then(
      () => free.push(...places),
      () => {}, // the yard is gone, and they with it
    );
  }

  return {
    enter: [tools.nsenter, ...(asRoot ? [] : asOwner), `--mount=${namespaces("mnt")}`],
    async root(programs, binds) {
      const wish = JSON.stringify([programs, binds]);
      const known = roots.get(wish) ?? makeRoot(programs, binds);
      roots.set(wish, known);
      known.catch(() => roots.delete(wish));
      return known;
    },
    async disk(size, uid) {
      const kind = diskOptions(size);
      const at = await unused(kind);
      for (const name of ["work", "tmp", "shm", "home"]) {
        const folder = `/proc/${shell.pid}/root${join(at, name)}`;
        mkdirSync(folder, 0o700);
        if (uid !== null) chownSync(folder, uid, uid);
      }
      return {
        path: at,
        taken() {
          leaving.push(at);
          if (leaving.length >= together) letGo();
        },
      };
    },
    isEnded: shell.isEnded,
    close: shell.close,
  };
}
