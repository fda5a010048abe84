import { createTwoFilesPatch } from "diff";
import type { Edit } from "../contracts/code.ts";
import { Failure } from "../contracts/failure.ts";
import type { Workspace } from "../contracts/work.ts";

/**
 * The files after a change: all edits or none. Throws `model_answer_invalid` when one file is edited twice, a file that
 * is not there is deleted, or nothing would change.
 */
export function applyEdits(files: Workspace, edits: Edit[]): Workspace {
  const paths = edits.map(({ path }) => path);
  const twice = paths.find((path, n) => paths.indexOf(path) !== n);
  if (twice !== undefined) throw new Failure("model_answer_invalid", `the answer edits ${twice} twice`);
  const gone = edits.find((edit) => "delete" in edit && !(edit.path in files));
  if (gone) throw new Failure("model_answer_invalid", `the answer deletes ${gone.path}, which is not there`);

  const after = new Map(Object.entries(files));
  for (const edit of edits) {
    if ("delete" in edit) after.delete(edit.path);
    else after.set(edit.path, edit.content);
  }
  const changed = Object.fromEntries(after);
  if (patchOf(files, changed) === "") throw new Failure("model_answer_invalid", "the answer changes nothing");
  return changed;
}

/** The difference of two workspaces as a patch that `git apply` takes; empty when there is none. */
export function patchOf(before: Workspace, after: Workspace): string {
  const paths = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return paths
    .filter((path) => before[path] !== after[path])
    .map((path) => {
      const from = path in before ? `a/${path}` : "/dev/null";
      const to = path in after ? `b/${path}` : "/dev/null";
      const body = createTwoFilesPatch(from, to, before[path] ?? "", after[path] ?? "", undefined, undefined, {
        headerOptions: { includeIndex: false, includeUnderline: false, includeFileHeaders: true },
      });
      const mode =
        from === "/dev/null" ? "new file mode 100644\n" : to === "/dev/null" ? "deleted file mode 100644\n" : "";
      return `diff --git a/${path} b/${path}\n${mode}${body}`;
    })
    .join("");
}
