import { z } from "zod";
import { Command, LimitsWish, ProfileName } from "./limits.ts";
import { UploadId } from "./upload.ts";

/** A relative path inside a workspace: no way out, no `.git`, no control characters, forward slashes. */
export const WorkspacePath = z
  .string()
  .min(1)
  .max(512)
  .refine(
    (path) =>
      !path.includes("\\") &&
      ![...path].some((letter) => letter < " " || letter === "\x7f") &&
      path.split("/").every(isName),
    "is a relative path inside the workspace, without .., . or .git",
  );

const notNames = new Set(["", ".", "..", ".git", "__proto__"]);

/** What a file system takes for one name: at most 255 bytes. */
function isName(part: string): boolean {
  return !notNames.has(part.toLowerCase()) && new TextEncoder().encode(part).length <= 255;
}

/** The files of a project, path to text. */
export const Workspace = z.record(WorkspacePath, z.string()).superRefine((files, context) => {
  for (const path of Object.keys(files)) {
    const folder = foldersAbove(path).find((above) => Object.hasOwn(files, above));
    if (folder !== undefined) {
      context.addIssue({ code: "custom", path: [path], message: `needs ${folder} as a folder, and it is a file` });
    }
  }
});
export type Workspace = z.infer<typeof Workspace>;

/** The folders a path goes through: 'a', 'a/b' for 'a/b/c'. */
function foldersAbove(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, n) => parts.slice(0, n + 1).join("/"));
}

/** A passage handed to a model or shown as the ground of an answer. */
export const Grounding = z.object({
  document_id: z.string(),
  title: z.string(),
  section: z.string(),
  span: z.tuple([z.number().int(), z.number().int()]),
  text: z.string(),
  score: z.number(),
});
export type Grounding = z.infer<typeof Grounding>;

/** The work a request asks an agent for, as it travels from orchestrator to buildtest. */
export const Work = z.object({
  prompt: z.string().max(20_000), // characters; empty for code.buildtest
  workspace: Workspace, // with an upload: files that lie over it
  upload: UploadId.nullish(), // a project that was uploaded before
  patch: z.string().max(200_000).nullish(), // a unified diff against both, as `git diff --binary` writes it
  language: ProfileName.nullable(), // a profile of the sandbox; null: found from the files
  build: Command.nullable(), // null: found from the files, or the profile's own
  test: Command.nullable(),
  max_rounds: z.number().int().min(1).max(10), // how often a model may try
  grounding: z.array(Grounding),
  conversation: z.string().nullish(), // what it belongs to: a canary may stick to it
  capabilities: z.array(z.string()).optional(), // an agent must have, beyond the intent
  limits: LimitsWish.optional(), // of its runs in the sandbox: may only lower what the profile gives
});
export type Work = z.infer<typeof Work>;
