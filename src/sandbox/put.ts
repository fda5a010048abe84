import { chownSync, closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { Failure } from "../contracts/failure.ts";

/** A file that goes in, as it was announced. */
export type Announced = { path: string; bytes: number };

/** A piece of the file with that number. */
export type Piece = { file: number; bytes: Buffer };

/**
 * Writes files into the work folder of a box that has begun nothing yet, so nothing can be in the way. The pieces of a
 * file come in order. A file that begins with `#!` may be run. Throws `invalid_request` when they are not what was
 * announced or do not fit on the box's disk.
 *
 * uid  who is to own them; null: whoever writes
 */
export async function putFiles(
  work: string,
  { files, uid }: { files: Announced[]; uid: number | null },
  pieces: AsyncIterable<Piece>,
): Promise<void> {
  const folders = new Set<string>(["."]);
  const open = new Map<number, { file: number; left: number }>();

  function begin({ path, bytes }: Announced, first: Buffer): { file: number; left: number } {
    makeFolder(dirname(path));
    const at = join(work, path);
    const file = openSync(at, "wx", first.toString("latin1", 0, 2) === "#!" ? 0o755 : 0o644);
    if (uid !== null) chownSync(at, uid, uid);
    return { file, left: bytes };
  }

  function makeFolder(path: string): void {
    if (folders.has(path)) return;
    makeFolder(dirname(path));
    mkdirSync(join(work, path), 0o755);
    if (uid !== null) chownSync(join(work, path), uid, uid);
    folders.add(path);
  }

  try {
    for (const [index, announced] of files.entries()) {
      if (announced.bytes === 0) closeSync(begin(announced, Buffer.alloc(0)).file);
      else open.set(index, { file: -1, left: announced.bytes });
    }
    if (open.size === 0) return;
    for await (const { file: index, bytes } of pieces) {
      const announced = files[index];
      const waiting = open.get(index);
      if (!announced || !waiting || bytes.length > waiting.left) throw wrong(`file ${index} is longer than announced`);
      const into = waiting.file < 0 ? begin(announced, bytes) : waiting;
      open.set(index, into);
      writeAll(into.file, bytes);
      into.left -= bytes.length;
      if (into.left > 0) continue;
      closeSync(into.file);
      open.delete(index);
      if (open.size === 0) return;
    }
    throw wrong("the files ended before they were complete");
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    throw wrong(`the files cannot be laid out: ${cause instanceof Error ? cause.message : cause}`, cause);
  } finally {
    for (const { file } of open.values()) if (file >= 0) closeSync(file);
  }
}

function writeAll(file: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
}

function wrong(message: string, cause?: unknown): Failure {
  const plain = message.replace(/\/proc\/self\/fd\/\d+\//g, "");
  return new Failure("invalid_request", plain, { field: "files", cause });
}
