import type { Edit } from "../contracts/code.ts";
import { Failure } from "../contracts/failure.ts";
import type { FileSource } from "../contracts/sandbox.ts";
import type { Upload } from "../contracts/upload.ts";
import type { Work, Workspace } from "../contracts/work.ts";
import { applyEdits } from "./edits.ts";
import { applyPatch, readPatch } from "./patch.ts";

/** The files of a project as a box gets them: small ones in memory, those of an upload where they are. */
export type Tree = { files: Map<string, Uint8Array | FileSource>; links: ReadonlySet<string> };

/**
 * What a piece of work is about: its upload, the files that lie over it, then its patch, all of it or nothing. Throws
 * `not_found` for an upload that is not there, `invalid_request` for a patch that does not apply.
 */
export async function treeOf(
  { upload: id, workspace, patch }: Pick<Work, "upload" | "workspace" | "patch">,
  openUpload: (id: string) => Promise<Upload>,
): Promise<Tree> {
  const { files: uploaded, links, read } = id ? await openUpload(id) : nothing;
  const files: Tree["files"] = new Map();
  for (const [path, bytes] of uploaded) {
    files.set(path, { bytes, open: () => read(path) });
  }
  for (const [path, text] of Object.entries(workspace)) files.set(path, new TextEncoder().encode(text));
  const tree = { files, links };
  return patch ? patched(tree, patch) : tree;
}

const nothing: Upload = { files: new Map(), links: new Set(), async *read() {} };

async function patched(tree: Tree, patch: string): Promise<Tree> {
  const gone: string[] = [];
  const come = new Map<string, Uint8Array>();
  for (const change of readPatch(patch)) {
    const { from, to, removes } = change;
    for (const path of [from, to]) if (path !== null) refuseLink(path, tree, patchRefusal);
    if (from === null && to !== null && tree.files.has(to)) throw patchRefusal(`makes ${to}, which is there already`);
    const after = applyPatch(from === null ? null : await bytesOf(tree, from), change);
    if (removes && from !== null) gone.push(from);
    if (to === null || after === null) continue;
    if (come.has(to)) throw patchRefusal(`changes ${to} twice`);
    come.set(to, after);
  }
  const files = new Map(tree.files);
  for (const path of gone) files.delete(path);
  for (const [path, bytes] of come) files.set(path, bytes);
  refuseFolders(files, patchRefusal);
  return { ...tree, files };
}

/**
 * The files after a model's edits, all or none, and the texts before and after of those it touched. Throws
 * `model_answer_invalid` like applyEdits, and for an edit through a link.
 */
export async function editTree(
  tree: Tree,
  edits: Edit[],
): Promise<{ tree: Tree; before: Workspace; after: Workspace }> {
  const before: [string, string][] = [];
  for (const { path } of edits) {
    refuseLink(path, tree, editRefusal);
    const bytes = await bytesOf(tree, path);
    if (bytes) before.push([path, Buffer.from(bytes).toString("utf8")]);
  }
  const touched = Object.fromEntries(before);
  const after = applyEdits(touched, edits);
  const files = new Map(tree.files);
  for (const edit of edits) {
    if ("delete" in edit) files.delete(edit.path);
    else files.set(edit.path, new TextEncoder().encode(edit.content));
  }
  refuseFolders(files, editRefusal);
  return { tree: { ...tree, files }, before: touched, after };
}

/** The bytes of one file; null when it is not there. */
export async function bytesOf({ files }: Tree, path: string): Promise<Uint8Array | null> {
  const file = files.get(path);
  if (!file || file instanceof Uint8Array) return file ?? null;
  const pieces: Uint8Array[] = [];
  for await (const piece of file.open()) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** How large a file is. */
export function sizeOf(file: Uint8Array | FileSource): number {
  return file instanceof Uint8Array ? file.byteLength : file.bytes;
}

type Refuse = (why: string) => Failure;
const editRefusal: Refuse = (why) => new Failure("model_answer_invalid", `the model's answer ${why}`);
const patchRefusal: Refuse = (why) =>
  new Failure("invalid_request", `the patch ${why}`, { errors: [{ in: "body", path: "/patch", message: why }] });

function refuseLink(path: string, { links }: Tree, refuse: Refuse): void {
  const through = [...foldersOf(path), path].find((one) => links.has(one));
  if (through !== undefined) throw refuse(`writes through ${through}, which is a link`);
}

function refuseFolders(files: Tree["files"], refuse: Refuse): void {
  for (const path of files.keys()) {
    const folder = foldersOf(path).find((one) => files.has(one));
    if (folder !== undefined) throw refuse(`needs ${folder} as a folder, and it is a file`);
  }
}

function foldersOf(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, n) => parts.slice(0, n + 1).join("/"));
}

const mostSketched = 262_144; // bytes of one file
const mostTests = 200;

/** What finding out about a project needs of it: every name, and the texts that say how it is built and tested. */
export async function sketchOf(tree: Tree): Promise<Workspace> {
  let tests = 0;
  const sketch = Object.create(null);
  for (const [path, file] of tree.files) {
    const wanted = /(^|\/)(test[^/]*|[^/]+_test)\.py$/.test(path) ? ++tests <= mostTests : telling.test(path);
    const bytes = wanted && sizeOf(file) <= mostSketched ? await bytesOf(tree, path) : null;
    sketch[path] = bytes ? Buffer.from(bytes).toString("utf8") : "";
  }
  return sketch;
}

const telling =
  /^(package\.json|pyproject\.toml|setup\.cfg|tox\.ini|pytest\.ini|Makefile|makefile|GNUmakefile|test\.sh)$/;

const mostShown = 100_000; // letters of all files together
const mostShownFile = 65_536;
const mostNames = 500;
const mostRead = 2000;

/** The files a model sees, and the names of those it does not. */
export type Shown = { shown: Workspace; unshown: string[] };

/**
 * Chooses what of a project a model sees: all of it when it is small; else the texts that share words with the wish, those
 * named in it first. What is not text, or too long, is a name only.
 */
export async function shownOf(tree: Tree, wish: string): Promise<Shown> {
  const words = new Set(wish.toLowerCase().match(/[\p{L}\p{N}_]{3,}/gu) ?? []);
  const candidates: { path: string; text: string; score: number }[] = [];
  for (const [path, file] of tree.files) {
    if (candidates.length >= mostRead) break;
    if (sizeOf(file) > mostShownFile || /(^|[-.])lock(\.\w+)?$/.test(path)) continue;
    const bytes = await bytesOf(tree, path);
    if (!bytes || bytes.includes(0)) continue;
    const text = Buffer.from(bytes).toString("utf8");
    const found = new Set(text.toLowerCase().match(/[\p{L}\p{N}_]{3,}/gu) ?? []);
    const shared = [...words].filter((word) => found.has(word)).length;
    candidates.push({ path, text, score: (wish.includes(path) ? 1000 : 0) + shared });
  }
  const small = candidates.reduce((sum, { text }) => sum + text.length, 0) <= mostShown;
  const ranked = small ? candidates : candidates.toSorted((a, b) => b.score - a.score);
  const shown: Workspace = {};
  let left = mostShown;
  for (const { path, text } of ranked) {
    if (text.length > left) continue;
    shown[path] = text;
    left -= text.length;
  }
  const unshown = [...tree.files.keys()].filter((path) => !Object.hasOwn(shown, path));
  return { shown, unshown: unshown.slice(0, mostNames) };
}
