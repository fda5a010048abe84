import type { FastifyReply } from "fastify";
import { z } from "zod";
import { Failure, type FailureCode } from "../contracts/failure.ts";
import type { Problem } from "../contracts/http.ts";
import type { Log } from "../contracts/log.ts";
import { isUnreachable } from "../store/reach.ts";
import { type FieldError, pointerPart } from "./body.ts";

export const problemType = "application/problem+json; charset=utf-8";

/** What the framework says no to, in our words. What is not here and has a 4xx of its own is `invalid_request`. */
const frameworkCodes: Record<string, FailureCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "payload_too_large",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "unsupported_media_type",
  FST_ERR_NOT_FOUND: "not_found",
};

/** Members that are ours to set; a failure's details cannot replace them. */
const reserved = new Set(["type", "title", "status", "detail", "instance", "code", "trace_id", "errors", "field"]);

/** Any thrown thing as a Failure that may be shown: what nobody foresaw keeps its words to the log. */
export function foresee(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  if (isUnreachable(thrown)) {
    return new Failure("database_unavailable", "the database cannot be reached; try again", { cause: thrown });
  }
  if (thrown instanceof Error && "statusCode" in thrown && typeof thrown.statusCode === "number") {
    const known = "code" in thrown && typeof thrown.code === "string" ? frameworkCodes[thrown.code] : undefined;
    if (known) return new Failure(known, thrown.message, { cause: thrown });
    if (thrown.statusCode >= 400 && thrown.statusCode < 500) {
      return new Failure("invalid_request", thrown.message, { cause: thrown });
    }
  }
  return new Failure("internal", "something went wrong that nobody foresaw; the log has it under this trace_id", {
    cause: thrown,
  });
}

/** A failure as the body of an answer (RFC 9457). */
export function problemOf(failure: Failure, traceId: string): Problem {
  const { code, message, details, status } = failure;
  return {
    ...Object.fromEntries(Object.entries(details).filter(([name]) => !reserved.has(name))),
    type: `urn:dagent:problem:${code}`,
    title: titleOf(code),
    status,
    detail: message,
    code,
    trace_id: traceId,
    errors: errorsOf(details),
  };
}

function titleOf(code: FailureCode): string {
  const words = code.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const FieldErrors = z.array(
  z.object({ in: z.enum(["body", "query", "path", "header"]), path: z.string(), message: z.string() }),
);

function errorsOf({ errors }: Record<string, unknown>): FieldError[] {
  const listed = FieldErrors.safeParse(errors);
  return listed.success ? listed.data : [];
}

/** Answers with a problem. What was not foreseen goes to the log with its stack. */
export function sendProblem(reply: FastifyReply, thrown: unknown, log: Log): FastifyReply {
  const failure = foresee(thrown);
  const traceId = String(reply.getHeader("x-trace-id") ?? reply.request.id);
  if (failure.code === "internal") log.error({ trace_id: traceId, err: failure.cause ?? failure }, failure.message);
  if (failure.status === 401) reply.header("www-authenticate", "Bearer");
  if (failure.status === 425 || failure.status === 429 || failure.status === 503)
    reply.header("retry-after", String(retryAfterS(failure)));
  return reply
    .code(failure.status)
    .header("x-trace-id", traceId)
    .header("cache-control", "no-store")
    .header("content-type", problemType)
    .send(JSON.stringify(problemOf(failure, traceId)));
}

/** Whole seconds, as HTTP has them; two unless the failure says how long. */
function retryAfterS({ details: { retry_after_ms } }: Failure): number {
  return typeof retry_after_ms === "number" ? Math.max(1, Math.ceil(retry_after_ms / 1000)) : 2;
}

/** Where a part of a request stands, by the framework's name for it. */
const places: Record<string, FieldError["in"]> = {
  body: "body",
  querystring: "query",
  params: "path",
  headers: "header",
};

/** What did not fit a shape, as a Failure that names each field by a JSON pointer. */
export function misfit(error: z.ZodError, httpPart: string | undefined): Failure {
  const place = places[httpPart ?? "body"] ?? "body";
  const errors = error.issues.flatMap((issue) => fieldsOf(issue, place));
  const code = errors.some(({ in: at, path }) => at === "body" && path === "/intent")
    ? "unknown_intent"
    : "invalid_request";
  const said = errors.slice(0, 3).map(({ path, message }) => `${place}${path}: ${message}`);
  const more = errors.length > said.length ? `; and ${errors.length - said.length} more` : "";
  return new Failure(code, `${said.join("; ")}${more}`, { errors: errors.slice(0, 50) });
}

function fieldsOf(issue: z.core.$ZodIssue, place: FieldError["in"]): FieldError[] {
  const path = issue.path.map((part) => `/${pointerPart(part)}`).join("");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ in: place, path: `${path}/${pointerPart(key)}`, message: "is not known here" }));
  }
  const message = issue.code === "invalid_key" ? (issue.issues[0]?.message ?? issue.message) : issue.message;
  return [{ in: place, path, message }];
}
