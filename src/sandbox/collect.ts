import { constants, lstatSync, type Stats } from "node:fs";
import { open, opendir } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import type { Limits } from "../contracts/limits.ts";

/** What comes back from a box: plain files, and what was left there with the reason. */
export type Collected = {
  files: { path: string; content: Buffer }[];
  skipped: { path: string; why: string }[];
  over: { limit: number; observed: number } | null; // the first limit of artifacts that did not hold
};

const most = { depth: 32, entries: 20_000, skipped: 200, path: 1024 };

/**
 * Brings files back out of the work folder of a box in which nothing runs any more. Regular files only, with one name
 * only, seen with lstat before they are opened without following; counted and measured before a byte is read; nothing is
 * ever unpacked. What is not there is no error: a build need not make everything it may make.
 */
export async function collectFiles(work: string, wanted: string[], { size }: Limits): Promise<Collected> {
  const collected: Collected = { files: [], skipped: [], over: null };
  const taken = new Set<string>();
  let bytes = 0;
  let entries = 0;

  function skip(path: string, why: string): void {
    if (collected.skipped.length < most.skipped) collected.skipped.push({ path: printable(path), why });
  }

  async function visit(path: string, depth: number): Promise<void> {
    if (taken.has(path) || isEnough()) return;
    if (++entries > most.entries)
      return entries === most.entries + 1 ? skip(path, "too many names to look at") : undefined;
    if (entries % 500 === 0) await setImmediate(); // others are watched meanwhile
    const found = statOf(join(work, path));
    if (!found) return depth > 0 ? skip(path, "has a name that is not plain text") : undefined; // bytes that are no UTF-8
    if (found.isDirectory()) return walk(path, depth);
    taken.add(path);
    if (found.isSymbolicLink()) return skip(path, "a symbolic link");
    if (!found.isFile()) return skip(path, "not a regular file");
    if (found.nlink !== 1) return skip(path, "has more than one name");
    if (printable(path) !== path) return skip(path, "has a name that is not plain text");
    if (collected.files.length >= size.artifact_files) return refuse(path, size.artifact_files, "too many files");
    if (bytes + found.size > size.artifact_bytes)
      return refuse(path, size.artifact_bytes, "too many bytes", bytes + found.size);
    await take(path, found.size);
  }

  /** Once the limit is broken and as much is listed as will be, nobody needs to look on. */
  function isEnough(): boolean {
    return collected.over !== null && collected.skipped.length >= most.skipped;
  }

  async function walk(path: string, depth: number): Promise<void> {
    if (depth >= most.depth || path.length > most.path) return skip(path, "a folder too deep");
    const names = await namesIn(join(work, path)).catch(() => null);
    if (!names) return skip(path, "a folder that its owner has closed");
    for (const name of names) await visit(join(path, name), depth + 1);
  }

  function refuse(path: string, limit: number, why: string, observed = limit + 1): void {
    collected.over ??= { limit, observed };
    skip(path, why);
  }

  async function take(path: string, length: number): Promise<void> {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const file = await open(join(work, path), flags).catch(() => null);
    if (!file) return skip(path, "a file that its owner has closed");
    try {
      const content = Buffer.alloc(length);
      const { bytesRead } = await file.read(content, 0, length, 0);
      collected.files.push({ path, content: content.subarray(0, bytesRead) });
      bytes += length;
    } finally {
      await file.close();
    }
  }

  for (const path of wanted) {
    const link = linkOnTheWay(work, path);
    if (link) skip(path, `${link} is not a folder`);
    else await visit(path, 0);
  }
  return collected;
}

/** The names in a folder in order, as many as are looked at. Throws when it may not be read: a box can close its own. */
async function namesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of await opendir(folder, { bufferSize: 512 })) if (names.push(name) >= most.entries) break;
  return names.sort();
}

/** Without following, and without waiting: the disk of a box is memory. */
function statOf(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch {
    return null;
  }
}

/**
 * Whether a file in one of these folders is as large as a file may be: a program that ignores SIGXFSZ (python does) goes on and
 * fails by itself, and this tells why. Looks at no more than 2,000 names.
 */
export async function hasFullFile(places: string[], { size }: Limits): Promise<boolean> {
  const folders = [...places];
  let looked = 0;
  for (let folder = folders.shift(); folder !== undefined && looked < 2000; folder = folders.shift()) {
    for (const name of await namesIn(folder).catch(() => [])) {
      const path = join(folder, name);
      if (++looked > 2000) break;
      const found = statOf(path);
      if (found?.isDirectory() && path.length < most.path) folders.push(path);
      if (found?.isFile() && found.size === size.file_bytes) return true;
    }
  }
  return false;
}

/** The first part of the way to `path` that is there and is no real folder: a way out of the box, if it were followed. */
function linkOnTheWay(work: string, path: string): string | null {
  const parts = path.split("/");
  for (let length = 1; length < parts.length; length++) {
    const part = parts.slice(0, length).join("/");
    const found = statOf(join(work, part));
    if (found && !found.isDirectory()) return printable(part);
  }
  return null;
}

/** A name without what a terminal or a log would act on; broken UTF-8 shows as its replacement. */
function printable(path: string): string {
  return [...path].map((letter) => (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\uFFFD]/u.test(letter) ? "\uFFFD" : letter)).join("");
}
