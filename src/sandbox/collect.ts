import { constants } from "node:fs";
import { lstat, open, opendir } from "node:fs/promises";
import { join } from "node:path";
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
    if (taken.has(path)) return;
    if (++entries > most.entries)
      return entries === most.entries + 1 ? skip(path, "too many names to look at") : undefined;
    const found = await lstat(join(work, path)).catch(() => null);
    if (!found) return;
    if (found.isDirectory()) return walk(path, depth);
    taken.add(path);
    if (found.isSymbolicLink()) return skip(path, "a symbolic link");
    if (!found.isFile()) return skip(path, "not a regular file");
    if (found.nlink !== 1) return skip(path, "has more than one name");
    if (printable(path) !== path) return skip(path, "has a name that is not plain text");
    if (collected.files.length >= size.artifact_files) return refuse(path, size.artifact_files, "too many files");
    if (bytes + found.size > size.artifact_bytes)
      return refuse(path, size.artifact_bytes, "too many bytes", bytes + found.size);
    bytes += found.size;
    await take(path, found.size);
  }

  async function walk(path: string, depth: number): Promise<void> {
    if (depth >= most.depth || path.length > most.path) return skip(path, "a folder too deep");
    const names: string[] = [];
    for await (const { name } of await opendir(join(work, path))) if (names.push(name) >= most.entries) break;
    for (const name of names.sort()) await visit(join(path, name), depth + 1);
  }

  function refuse(path: string, limit: number, why: string, observed = limit + 1): void {
    collected.over ??= { limit, observed };
    skip(path, why);
  }

  async function take(path: string, length: number): Promise<void> {
    const file = await open(join(work, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const content = Buffer.alloc(length);
      const { bytesRead } = await file.read(content, 0, length, 0);
      collected.files.push({ path, content: content.subarray(0, bytesRead) });
    } finally {
      await file.close();
    }
  }

  for (const path of wanted) {
    const link = await linkOnTheWay(work, path);
    if (link) skip(path, `${link} is not a folder`);
    else await visit(path, 0);
  }
  return collected;
}

/**
 * Whether a file in the work folder is as large as a file may be: a program that ignores SIGXFSZ (python does) goes on and
 * fails by itself, and this tells why. Looks at no more than 2,000 names.
 */
export async function hasFullFile(work: string, { size }: Limits): Promise<boolean> {
  const folders = [work];
  let looked = 0;
  for (let folder = folders.shift(); folder !== undefined && looked < 2000; folder = folders.shift()) {
    for await (const entry of await opendir(folder)) {
      const path = join(folder, entry.name);
      if (++looked > 2000) break;
      if (entry.isDirectory() && path.length < most.path) folders.push(path);
      if (!entry.isFile()) continue;
      const { size: bytes } = await lstat(path);
      if (bytes === size.file_bytes) return true;
    }
  }
  return false;
}

/** The first part of the way to `path` that is there and is no real folder: a way out of the box, if it were followed. */
async function linkOnTheWay(work: string, path: string): Promise<string | null> {
  const parts = path.split("/");
  for (let length = 1; length < parts.length; length++) {
    const part = parts.slice(0, length).join("/");
    const found = await lstat(join(work, part)).catch(() => null);
    if (found && !found.isDirectory()) return printable(part);
  }
  return null;
}

/** A name without what a terminal or a log would act on; broken UTF-8 shows as its replacement. */
function printable(path: string): string {
  return [...path].map((letter) => (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\uFFFD]/u.test(letter) ? "\uFFFD" : letter)).join("");
}
