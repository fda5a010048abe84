import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { Failure } from "../contracts/failure.ts";

/** Folders that are never part of a project's own text. */
const skipped = new Set(["node_modules", ".git", "dist", "coverage", ".dagent", "__pycache__"]);

/** The text files of a folder (or one file), path to text. Binary files are left out and named in `left`. */
export async function readTexts(
  path: string,
  wanted: (name: string) => boolean = () => true,
): Promise<{ files: Record<string, string>; left: string[] }> {
  const found = await stat(path).catch(() => {
    throw new Failure("invalid_request", `there is no ${path}`);
  });
  const files: Record<string, string> = {};
  const left: string[] = [];
  const add = async (file: string, name: string) => {
    const bytes = await readFile(file);
    if (bytes.includes(0)) left.push(name);
    else files[name] = bytes.toString("utf8");
  };
  if (found.isFile()) await add(path, basename(path));
  else for await (const name of filesBelow(path)) if (wanted(name)) await add(join(path, name), name);
  return { files, left };
}

async function* filesBelow(root: string, folder = root): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && skipped.has(entry.name)) continue;
    if (entry.isDirectory()) yield* filesBelow(root, path);
    if (entry.isFile()) yield relative(root, path);
  }
}
