import { z } from "zod";
import { Collection } from "./knowledge.ts";
import { Command, LimitsWish, ProfileName } from "./limits.ts";
import { IdempotencyKey } from "./message.ts";
import { UploadId } from "./upload.ts";
import { Workspace } from "./work.ts";

/** A project, and how it is built and tested. */
const project = {
  workspace: Workspace.default({}),
  upload: UploadId.nullable().default(null), // a project from POST /api/workspaces; files of `workspace` lie over it
  patch: z.string().max(200_000).nullable().default(null), // a unified diff against them, as `git diff --binary` writes it
  language: ProfileName.nullable().default(null), // node, python, shell or what the operator added; null: found from the files
  build: Command.nullable().default(null), // a shell command; null: found from the files
  test: Command.nullable().default(null),
  limits: LimitsWish.optional(), // of its runs in the sandbox: may only lower what is given
};

/**
 * `POST /api/chat`: free text, work for an agent, or both. With `intent: "chat"` (the default) the intent is found:
 * files without a wish are built and tested, files with a wish are changed by a model, everything else is a question.
 */
export const ChatRequest = z
  .strictObject({
    message: z.string().max(20_000).default(""), // characters
    intent: z.enum(["chat", "rag.answer", "code.buildtest", "code.generate"]).default("chat"),
    collection: Collection.nullable().default(null), // of documents; null: all of the tenant's
    k: z.number().int().min(1).max(50).default(5), // passages to look at
    ...project,
    max_rounds: z.number().int().min(1).max(10).default(3), // how often a model may try
    conversation: IdempotencyKey.nullable().default(null), // what this belongs to: its requests meet the same canary
    capabilities: z.array(z.string().min(1).max(64)).max(20).default([]), // an agent must have, beyond the intent
  })
  .superRefine(({ message, intent, workspace, upload }, context) => {
    const wordless = message.trim() === "";
    const empty = Object.keys(workspace).length === 0 && upload === null;
    if (intent === "code.buildtest" && empty)
      refuse(context, "workspace", "code.buildtest needs the files of a project");
    if ((intent === "rag.answer" || intent === "code.generate") && wordless)
      refuse(context, "message", `${intent} needs words`);
    if (intent === "chat" && wordless && empty)
      refuse(context, "message", "say something, or bring files in `workspace`");
  });
export type ChatRequest = z.infer<typeof ChatRequest>;

/** `POST /api/workflows/code-build-test`: a project to build and test. */
export const WorkflowRequest = z.strictObject(project).superRefine(({ workspace, upload }, context) => {
  if (Object.keys(workspace).length === 0 && upload === null)
    refuse(context, "workspace", "needs the files of a project: say them here, or the id of an `upload`");
});
export type WorkflowRequest = z.infer<typeof WorkflowRequest>;

function refuse(context: z.RefinementCtx, field: string, message: string): void {
  context.addIssue({ code: "custom", path: [field], message });
}
