import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import { setImmediate } from "node:timers/promises";
import { Failure } from "../contracts/failure.ts";

const deepest = 64;
const perEntry = 4096; // what a name costs on a disk, be it of an empty file
const together = 100; // entries, or
const togetherBytes = 8_388_608; // before others of this worker have their turn

/**
 * Copies a folder out of a box in which nothing runs any more, and answers the bytes it takes on a disk. Folders, regular files with one name,
 * and relative links that stay in the folder; anything else, or too much of it, throws `invalid_request` naming it. What is
 * copied belongs to this worker and can be read by all: 0755 for folders and programs, 0644 for the rest.
 */
export async function copyTree(from: string, to: string, most: { bytes: number; entries: number }): Promise<number> {
  const scratch = Buffer.allocUnsafeSlow(1_048_576);
  const top = basename(to);
  let bytes = 0;
  let entries = 0;
  let since = 0;

  function refuse(path: string, why: string): never {
    throw new Failure("invalid_request", `${printable(join(top, path))} ${why}`);
  }

  function count(path: string, more: number): void {
    bytes += more;
    since += more;
    if (bytes > most.bytes) refuse(path, `is too much: more than ${most.bytes} bytes in all`);
  }

  async function visit(path: string, depth: number): Promise<void> {
    if (++entries > most.entries) refuse(path, `is too much: more than ${most.entries} files and folders`);
    if (entries % together === 0 || since > togetherBytes) {
      since = 0;
      await setImmediate();
    }
    const found = lstatSync(join(from, path), { throwIfNoEntry: false });
    if (!found) return refuse(path, path === "" ? "is not there" : "has a name that is not plain text");
    if (path !== "" && found.isSymbolicLink()) return link(path);
    if (path !== "" && found.isFile()) return file(path);
    if (!found.isDirectory()) return refuse(path, "is neither a plain file nor a folder");
    if (depth > deepest) return refuse(path, "is too deep");
    mkdirSync(join(to, path));
    chmodSync(join(to, path), 0o755);
    for (const name of readdirSync(join(from, path))) await visit(join(path, name), depth + 1);
  }

  function link(path: string): void {
    const target = readlinkSync(join(from, path));
    const leads = normalize(join(dirname(path), target));
    const turnsBack = /(^|\/)(?!\.{1,2}\/)[^/]+\/+(\.\/+)*\.\.(\/|$)/.test(target); // what it leads through may be a link
    if (target.startsWith("/") || turnsBack || leads === ".." || leads.startsWith("../")) {
      refuse(path, `is a link that leads out: to ${printable(target)}`);
    }
    symlinkSync(target, join(to, path));
  }

  function file(path: string): void {
    const source = openSync(join(from, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const { mode, nlink, size } = fstatSync(source);
      if (nlink !== 1) refuse(path, "is a file with more than one name");
      count(path, size);
      const target = openSync(join(to, path), constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
      try {
        for (let done = 0; done < size; ) {
          const read = readSync(source, scratch, 0, Math.min(scratch.length, size - done), done);
          if (read === 0) break;
          for (let at = 0; at < read; ) at += writeSync(target, scratch, at, read - at);
          done += read;
        }
        fchmodSync(target, (mode & 0o111) === 0 ? 0o644 : 0o755);
      } finally {
        closeSync(target);
      }
    } finally {
      closeSync(source);
    }
  }

  try {
    await visit("", 0);
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    const said =
      cause instanceof Error ? cause.message.replace(/\/[^'"\s]*/g, (path) => basename(path)) : String(cause);
    throw new Failure("invalid_request", `${top} cannot be copied: ${said}`, { cause });
  }
  return bytes + entries * perEntry;
}

/** A name as a log may show it. */
function printable(path: string): string {
  return [...path.slice(0, 300)]
    .map((letter) => (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\uFFFD]/u.test(letter) ? "\uFFFD" : letter))
    .join("");
}
