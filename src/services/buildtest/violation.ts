import type { Tools } from "../../bus/handler.ts";
import { jsonArtifact } from "../../contracts/artifact.ts";
import { Failure } from "../../contracts/failure.ts";
import type { Message } from "../../contracts/message.ts";
import type { RunResult } from "../../contracts/sandbox.ts";
import { ErrorReason, type SandboxError } from "../../contracts/violation.ts";

const tailBytes = 4096;

/** Keeps `sandbox/error.json` for a run that broke a limit. */
export async function keepViolation(message: Message, run: RunResult, tools: Tools): Promise<void> {
  const { now } = tools;
  const { reason, limit, observed } = run;
  const last = run.steps.at(-1);
  const error: SandboxError = {
    ...envelopeOf(message, now()),
    reason: ErrorReason.parse(reason),
    also: run.also,
    limit,
    observed,
    class: run.class,
    stdout_tail: tail(last?.stdout),
    stderr_tail: tail(last?.stderr),
  };
  await leave(error, tools);
}

/** How a caller's own project fails when it broke a limit. */
export function violationOf({ reason, limit, observed, maxAttempts }: RunResult): Failure {
  const said = `the sandbox ended the run: ${reason} (limit ${limit}, observed ${observed})`;
  return new Failure("sandbox_violation", said, { reason, limit, observed, max_attempts: maxAttempts });
}

/** Keeps `sandbox/error.json` for a run that could not be carried out, and passes the failure on. */
export async function passOn(message: Message, failure: Failure, tools: Tools): Promise<never> {
  const { now } = tools;
  const reason = ErrorReason.safeParse(failure.code);
  if (!reason.success) throw failure;
  const error: SandboxError = {
    ...envelopeOf(message, now()),
    reason: reason.data,
    also: [],
    limit: null,
    observed: failure.message,
    class: null,
    stdout_tail: "",
    stderr_tail: "",
  };
  await leave(error, tools);
  throw failure;
}

/** One file for whoever asked, and one event for whoever counts. */
async function leave(error: SandboxError, { keep, record }: Pick<Tools, "keep" | "record">): Promise<void> {
  const { reason, also, limit, observed, class: name } = error;
  await keep({ ...jsonArtifact("sandbox", "error.json", "sandbox.error/1", error), class: name });
  record("sandbox_error", { reason, also, limit, observed, class: name });
}

function envelopeOf({ traceId, id, tenant, intent, idempotencyKey, attempts }: Message, at: Date) {
  return {
    trace_id: traceId,
    message_id: id,
    tenant,
    intent,
    idempotency_key: idempotencyKey,
    attempts,
    at: at.toISOString(),
  };
}

function tail(bytes: Uint8Array | undefined): string {
  return bytes ? new TextDecoder().decode(bytes.subarray(-tailBytes)) : "";
}
