import { z } from "zod";
import { ProfileWish, SandboxClass } from "./limits.ts";
import { Argv, ViolationReason, WorkPath } from "./sandbox.ts";

/** Bytes as base64. Not checked letter by letter here: a file may have hundreds of megabytes. */
const Base64 = z.string();

/** One run as `dagent sandbox exec` reads it: a line of JSON. */
export const ExecRequest = z.strictObject({
  argv: Argv,
  files: z.record(WorkPath, Base64).default({}), // laid out in the work folder
  limits: ProfileWish.default({}), // over the defaults of sandbox_limits.json, never above its maximum
  collect: z.array(WorkPath).max(64).default([]), // files and folders to bring back
});
export type ExecRequest = z.infer<typeof ExecRequest>;

/** What came of it. A program's own end, however bad, has no `reason`; only a broken limit has one. */
export const ExecAnswer = z.strictObject({
  reason: ViolationReason.nullable(),
  also: z.array(ViolationReason),
  limit: z.union([z.number(), z.string()]).nullable(),
  observed: z.union([z.number(), z.string()]).nullable(),
  code: z.number().int().nullable(), // null: ended by a signal
  signal: z.string().nullable(),
  stdout: Base64,
  stderr: Base64,
  artifacts: z.array(z.tuple([z.string(), z.number().int(), Base64])), // path, bytes, content
  skipped: z.array(z.strictObject({ path: z.string(), why: z.string() })), // what was asked for and stayed in the box
  class: SandboxClass,
  wall_ms: z.number(),
  cpu_ms: z.number().nullable(), // of the whole tree; null: this class could not measure it
});
export type ExecAnswer = z.infer<typeof ExecAnswer>;
