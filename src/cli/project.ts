import { execFile } from "node:child_process";
import { lstat, open, readdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import type { TarFile } from "../client/tar.ts";
import { Failure } from "../contracts/failure.ts";
import { WorkspacePath } from "../contracts/work.ts";

/** The files of a local project, in order, and how they were found. */
export type Project = { paths: string[]; how: string; left: { path: string; why: string }[] };

/** Folders that are made from others, and are left out where nothing says what is. */
const skipped = new Set(["node_modules", ".git", ".dagent", "dist", "coverage", "__pycache__", ".venv", "venv"]);

/**
 * Finds what belongs to a project: what git tracks and what is new and not ignored; outside of a repository, all but
 * folders that are made from others. Throws `invalid_request` when there is no such folder.
 */
export async function readProject(folder: string): Promise<Project> {
  const found = await lstat(folder).catch(() => null);
  if (!found?.isDirectory()) throw new Failure("invalid_request", `there is no folder ${folder}`);
  const listed = await listedByGit(folder);
  const all = listed ?? (await walk(folder, folder));
  const how = listed ? "what git tracks, and what is new and not ignored" : `all but ${[...skipped].join(", ")}`;
  const project: Project = { paths: [], how, left: [] };
  for (const path of [...new Set(all)].sort()) {
    const why = await whyNot(folder, path);
    if (why === null) project.paths.push(path);
    else if (why !== "gone") project.left.push({ path, why });
  }
  return project;
}

async function listedByGit(folder: string): Promise<string[] | null> {
  const run = promisify(execFile);
  try {
    const args = ["-C", folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "."];
    const { stdout } = await run("git", args, { maxBuffer: 67_108_864 });
    return stdout.split("\0").filter((path) => path !== "" && !/(^|\/)\.dagent\//.test(path));
  } catch {
    return null; // no git here, or no repository
  }
}

async function walk(root: string, folder: string): Promise<string[]> {
  const paths: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (!entry.isDirectory()) paths.push(relative(root, path));
    else if (!skipped.has(entry.name)) paths.push(...(await walk(root, path)));
  }
  return paths;
}

async function whyNot(folder: string, path: string): Promise<string | null> {
  const found = await lstat(join(folder, path)).catch(() => null);
  if (!found) return "gone"; // tracked, and deleted
  if (found.isSymbolicLink()) return "a link";
  if (!found.isFile()) return "not a plain file";
  return WorkspacePath.safeParse(path).success ? null : "a name that no project may have";
}

/** The files as a tar wants them: each is opened when its turn comes. */
export async function* filesOf(folder: string, { paths }: Project): AsyncGenerator<TarFile, void> {
  const scratch = Buffer.allocUnsafeSlow(65_536); // for all of them: whoever takes a piece is done with it before the next
  for (const path of paths) {
    const place = join(folder, path);
    const { size } = await lstat(place);
    yield { path, bytes: size, content: piecesOf(place, size, scratch) };
  }
}

/** The bytes of a file, piece by piece, each in the same place as the one before. */
async function* piecesOf(place: string, size: number, scratch: Buffer): AsyncGenerator<Uint8Array, void> {
  if (size === 0) return;
  const file = await open(place);
  try {
    for (let done = 0; done < size; ) {
      const { bytesRead } = await file.read(scratch, 0, Math.min(scratch.length, size - done), done);
      if (bytesRead === 0) return; // it shrank: the tar says so
      yield scratch.subarray(0, bytesRead);
      done += bytesRead;
    }
  } finally {
    await file.close();
  }
}
