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

/** Disks that were mounted together, below a mount of their own: let go of that, and all of them are. */
type Batch = { at: string; kept: Set<string>; leaving: string[] };

/** The disks of a yard, mounted below `path` by its shell. A disk is used by one box and never seen again. */
export function openDisks(
  path: string,
  { shell, tools, desk }: { shell: Shell; tools: Record<Tool, string>; desk: Desk },
) {
  const spare: { kind: string; at: string; batch: Batch }[] = [];
  const free: string[] = []; // places where nothing is mounted
  const batches = new Set<Batch>();
  let kindBefore = "";
  let made = 0;
  let tables = 0;
  let timer: NodeJS.Timeout | undefined;

  /** A disk of that size that nobody had before. */
  async function unused(kind: string): Promise<{ at: string; batch: Batch }> {
    for (;;) {
      const index = spare.findIndex((each) => each.kind === kind);
      const [found] = index < 0 ? [] : spare.splice(index, 1);
      if (found) return found;
      for (const other of spare.splice(0)) leave(other); // nobody asks for their size any more
      await mount(kind, kind === kindBefore ? together : 1);
      kindBefore = kind;
    }
  }

  async function mount(kind: string, count: number): Promise<void> {
    const at = free.pop() ?? makePlace();
    const disks = Array.from({ length: count }, (_, index) => join(at, String(index)));
    const lines = disks.flatMap((disk) => [
      `dagent ${disk}/files tmpfs ${kind} 0 0`,
      `dagent ${disk}/pts devpts ${terminals} 0 0`,
    ]);
    const table = `table-${++tables}`;
    writeFileSync(join(desk.here, table), `${[`${at} ${at} none bind 0 0`, ...lines].join("\n")}\n`);
    await shell
      .order(quoteAll([tools.mount, "-a", "-T", join(desk.inYard, table)]))
      .finally(() => rmSync(join(desk.here, table), { force: true }));
    const batch: Batch = { at, kept: new Set(disks), leaving: [] };
    batches.add(batch);
    for (const disk of disks) spare.push({ kind, at: disk, batch });
  }

  function makePlace(): string {
    const at = join(path, `disks-${++made}`);
    const disks = Array.from({ length: together }, (_, index) => String(index));
    readable(() => {
      for (const name of ["", ...disks.flatMap((disk) => [disk, `${disk}/files`, `${disk}/pts`])])
        mkdirSync(join(at, name));
    });
    return at;
  }

  function leave({ at, batch }: { at: string; batch: Batch }): void {
    batch.kept.delete(at);
    batch.leaving.push(at);
    if (batch.kept.size === 0) letGo(batch);
    else timer ??= setTimeout(letAllGo, holdMs).unref();
  }

  function letAllGo(): void {
    timer = undefined;
    for (const batch of batches) if (batch.leaving.length > 0) letGo(batch);
  }

  /** The whole batch, or those of it that nobody needs any more. */
  function letGo(batch: Batch): void {
    const { at, kept } = batch;
    const some = batch.leaving.splice(0).flatMap((disk) => [`${disk}/files`, `${disk}/pts`]);
    const isAll = kept.size === 0;
    if (isAll) batches.delete(batch);
    shell.order(quoteAll([tools.umount, "-l", ...(isAll ? [at] : some)])).then(
      () => isAll && free.push(at),
      () => {}, // the yard is gone, and they with it
    );
  }

  return {
    async take(size: Limits["size"], uid: number | null): Promise<Disk> {
      const disk = await unused(diskOptions(size));
      for (const name of ["work", "tmp", "shm", "home"]) {
        const folder = `/proc/${shell.pid}/root${join(disk.at, "files", name)}`;
        mkdirSync(folder, 0o700);
        if (uid !== null) chownSync(folder, uid, uid);
      }
      return { path: disk.at, taken: () => leave(disk) };
    },
    close: () => clearTimeout(timer),
  };
}
