import { chownSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Limits } from "../contracts/limits.ts";
import { diskOptions } from "./chain.ts";
import { readable } from "./folder.ts";
import { quoteAll } from "./quote.ts";
import type { Shell } from "./shell.ts";
import type { Desk } from "./starter.ts";
import type { Tool } from "./tools.ts";

/** What one box may write to: `files`, of the size it is given, with its folders in it, and `pts`, its terminals. */
export type Disk = {
  path: string; // in the yard
  taken(): void; // the box is made: the yard lets go of the disk, and it ends with its box
};

const together = 4; // disks of one size are mounted, and let go of, by one command
const holdMs = 1000; // and are not held much longer than their boxes
const terminals = "newinstance,ptmxmode=0666,mode=0620,nosuid,noexec";

/** The disks of a yard, mounted below `path` by its shell. A disk is used by one box and never seen again. */
export function openDisks(
  path: string,
  { shell, tools, desk }: { shell: Shell; tools: Record<Tool, string>; desk: Desk },
) {
  const spare: { kind: string; at: string }[] = [];
  const free: string[] = []; // places where none is mounted
  const leaving: string[] = [];
  let kindBefore = "";
  let made = 0;
  let tables = 0;
  let timer: NodeJS.Timeout | undefined;

  /** A disk of that size that nobody had before. */
  async function unused(kind: string): Promise<string> {
    for (;;) {
      const index = spare.findIndex((each) => each.kind === kind);
      const [found] = index < 0 ? [] : spare.splice(index, 1);
      if (found) return found.at;
      leave(spare.splice(0).map(({ at }) => at)); // nobody asks for their size any more
      await mount(kind, kind === kindBefore ? together : 1);
      kindBefore = kind;
    }
  }

  async function mount(kind: string, count: number): Promise<void> {
    const places = Array.from({ length: count }, () => free.pop() ?? makePlace());
    const lines = places.flatMap((at) => [
      `dagent ${at}/files tmpfs ${kind} 0 0`,
      `dagent ${at}/pts devpts ${terminals} 0 0`,
    ]);
    const table = `table-${++tables}`;
    writeFileSync(join(desk.here, table), `${lines.join("\n")}\n`);
    await shell
      .order(quoteAll([tools.mount, "-a", "-T", join(desk.inYard, table)]))
      .finally(() => rmSync(join(desk.here, table), { force: true }));
    for (const at of places) spare.push({ kind, at });
  }

  function makePlace(): string {
    const at = join(path, `disk-${++made}`);
    readable(() => {
      for (const name of ["", "files", "pts"]) mkdirSync(join(at, name));
    });
    return at;
  }

  function leave(places: string[]): void {
    leaving.push(...places);
    if (leaving.length >= together) letGo();
    else if (leaving.length > 0) timer ??= setTimeout(letGo, holdMs).unref();
  }

  function letGo(): void {
    clearTimeout(timer);
    timer = undefined;
    const places = leaving.splice(0);
    const mounts = places.flatMap((at) => [`${at}/files`, `${at}/pts`]);
    shell.order(quoteAll([tools.umount, "-l", ...mounts])).then(
      () => free.push(...places),
      () => {}, // the yard is gone, and they with it
    );
  }

  return {
    async take(size: Limits["size"], uid: number | null): Promise<Disk> {
      const at = await unused(diskOptions(size));
      for (const name of ["work", "tmp", "shm", "home"]) {
        const folder = `/proc/${shell.pid}/root${join(at, "files", name)}`;
        mkdirSync(folder, 0o700);
        if (uid !== null) chownSync(folder, uid, uid);
      }
      return { path: at, taken: () => leave([at]) };
    },
    close: () => clearTimeout(timer),
  };
}
