import { z } from "zod";
import { SandboxClass } from "./limits.ts";
import { TraceId } from "./message.ts";

/** The folders of a trace's artifacts, one per kind of work. */
export const ArtifactKind = z.enum(["codegen", "build-test", "rag", "sandbox", "approval", "dlq", "scenario"]);
export type ArtifactKind = z.infer<typeof ArtifactKind>;

/** The `.meta.json` beside every artifact, and its row in the index. `path` is below ARTIFACTS_BASE. */
export const ArtifactMeta = z.object({
  schema: z.string(), // 'build-test.report/1', or 'text' / 'json' for files without a shape of ours
  path: z.string(),
  trace_id: TraceId,
  tenant: z.string(),
  intent: z.string(),
  message_id: z.string(),
  idempotency_key: z.string(),
  agent_id: z.string().nullable(),
  agent_version: z.string().nullable(),
  canary: z.boolean(), // made by an agent that was on trial
  attempts: z.number().int().min(1),
  created_at: z.iso.datetime(),
  sha256: z.string().length(64),
  bytes: z.number().int().nonnegative(),
  content_type: z.string(),
  class: SandboxClass.nullable().default(null), // of the box it came out of; null: not from a box
});
export type ArtifactMeta = z.infer<typeof ArtifactMeta>;

/** A file a handler wants kept: `rag/query.json`, `build-test/build.log`. */
export type Artifact = {
  kind: ArtifactKind;
  name: string; // may hold a folder: 'rounds/1/edits.json'
  schema: string;
  contentType: string;
  content: string | Uint8Array;
  class?: SandboxClass | null; // of the box it came out of
};

/** An artifact that is JSON, written indented so that a person can read it. */
export function jsonArtifact(kind: ArtifactKind, name: string, schema: string, value: unknown): Artifact {
  return { kind, name, schema, contentType: "application/json", content: `${JSON.stringify(value, null, 2)}\n` };
}

/** An artifact that is plain text: a log, a patch, a summary. */
export function textArtifact(kind: ArtifactKind, name: string, content: string | Uint8Array): Artifact {
  const contentType = name.endsWith(".md") ? "text/markdown; charset=utf-8" : "text/plain; charset=utf-8";
  return { kind, name, schema: "text", contentType, content };
}
