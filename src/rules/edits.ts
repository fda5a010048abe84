import { createHash } from "node:crypto";
import { formatPatch, type StructuredPatchHunk, structuredPatch } from "diff";
import type { Edit } from "../contracts/code.ts";
import { Failure } from "../contracts/failure.ts";
import type { Workspace } from "../contracts/work.ts";

/** Above this many changed lines a file's patch replaces it whole: the search for the shortest one is quadratic. */
const mostChanged = 1000;

/**
 * The files after a change: all edits or none. Throws `model_answer_invalid` when one file is edited twice, a file that
 * is not there is deleted, a file would stand where a folder is needed, or nothing would change.
 */
export function applyEdits(files: Workspace, edits: Edit[]): Workspace {
  const after = new Map(Object.entries(files));
  const edited = new Set<string>();
  for (const edit of edits) {
    const { path } = edit;
    if (edited.has(path)) throw refusal(`edits ${path} twice`);
    edited.add(path);
    if (!("delete" in edit)) after.set(path, edit.content);
    else if (!after.delete(path)) throw refusal(`deletes ${path}, which is not there`);
  }
  for (const path of after.keys()) {
    const folder = foldersOf(path).find((one) => after.has(one));
    if (folder !== undefined) throw refusal(`needs ${folder} as a folder, and it is a file`);
  }
  if ([...edited].every((path) => after.get(path) === textOf(files, path))) throw refusal("changes nothing");
  return Object.fromEntries(after);
}

/** The difference of two workspaces as a patch that `git apply` takes; empty when there is none. */
export function patchOf(before: Workspace, after: Workspace): string {
  const paths = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return paths
    .map((path) => ({ path, from: textOf(before, path), to: textOf(after, path) }))
    .filter(({ from, to }) => from !== to)
    .map(filePatch)
    .join("");
}

/** What a change comes to, in 64 hex digits: two changes with the same patch are the same change. */
export function fingerprintOf(patch: string): string {
  return createHash("sha256").update(patch).digest("hex");
}

type FileChange = { path: string; from: string | undefined; to: string | undefined };

function filePatch({ path, from, to }: FileChange): string {
  return formatPatch({
    isGit: true,
    isCreate: from === undefined,
    isDelete: to === undefined,
    oldFileName: from === undefined ? "/dev/null" : `a/${path}`,
    newFileName: to === undefined ? "/dev/null" : `b/${path}`,
    oldHeader: undefined,
    newHeader: undefined,
    hunks: hunksOf(from ?? "", to ?? ""),
  });
}

function hunksOf(from: string, to: string): StructuredPatchHunk[] {
  const shortest = structuredPatch("", "", from, to, undefined, undefined, { maxEditLength: mostChanged });
  if (shortest) return shortest.hunks;
  const [gone] = structuredPatch("", "", from, "").hunks;
  const [come] = structuredPatch("", "", "", to).hunks;
  if (!gone || !come) return [];
  const { oldLines } = gone;
  const { newLines } = come;
  return [{ oldStart: 1, oldLines, newStart: 1, newLines, lines: [...gone.lines, ...come.lines] }];
}

/** The text of a file, also of one that is called `constructor`. */
function textOf(files: Workspace, path: string): string | undefined {
  return Object.hasOwn(files, path) ? files[path] : undefined;
}

function foldersOf(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, n) => parts.slice(0, n + 1).join("/"));
}

function refusal(why: string): Failure {
  return new Failure("model_answer_invalid", `the model's answer ${why}`);
}
