import { z } from "zod";
import { SandboxClass } from "./limits.ts";
import { ViolationReason } from "./sandbox.ts";

/** Why a run was ended or could not be carried out. The first that fired; the others stand in `also`. */
export const ErrorReason = z.enum([...ViolationReason.options, "sandbox_unavailable", "worker_lost"]);
export type ErrorReason = z.infer<typeof ErrorReason>;

/** `sandbox/error.json`. A red build or test is no error: it is a verdict. */
export const SandboxError = z.object({
  trace_id: z.string(),
  message_id: z.string(),
  tenant: z.string(),
  intent: z.string(),
  idempotency_key: z.string(),
  attempts: z.number().int().min(1),
  reason: ErrorReason,
  also: z.array(ErrorReason),
  limit: z.union([z.number(), z.string()]).nullable(),
  observed: z.union([z.number(), z.string()]).nullable(),
  class: SandboxClass.nullable(), // null: no box was opened
  at: z.iso.datetime(),
  stdout_tail: z.string(), // the last 4 KiB of what was printed
  stderr_tail: z.string(),
});
export type SandboxError = z.infer<typeof SandboxError>;
