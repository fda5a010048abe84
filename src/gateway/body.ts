import { Failure } from "../contracts/failure.ts";

/** Bytes as text. Throws `invalid_request` when they are not UTF-8, instead of putting U+FFFD where a letter was. */
export function decode(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Failure("invalid_request", "the body is not UTF-8", { cause, errors: [fieldError("", "is not UTF-8")] });
  }
}

/**
 * Refuses text that Postgres cannot keep: NUL, and halves of surrogate pairs, in values and in names. Throws
 * `invalid_request` naming the field. Walks without recursion, so that deep nesting cannot exhaust the stack.
 */
export function refuseUnstorable(body: unknown): void {
  const open: { value: unknown; path: string }[] = [{ value: body, path: "" }];
  for (let at = open.pop(); at; at = open.pop()) {
    const { value, path } = at;
    if (typeof value === "string") mustBeStorable(value, path);
    if (typeof value !== "object" || value === null) continue;
    for (const [name, inner] of Object.entries(value)) {
      mustBeStorable(name, path);
      open.push({ value: inner, path: `${path}/${pointerPart(name)}` });
    }
  }
}

function mustBeStorable(text: string, path: string): void {
  const why = text.includes("\0") ? "a NUL character" : text.isWellFormed() ? null : "half a surrogate pair";
  if (!why) return;
  throw new Failure("invalid_request", `${path || "the body"} holds ${why}`, {
    errors: [fieldError(path, `holds ${why}`)],
  });
}

/** A name as a part of a JSON pointer (RFC 6901). */
export function pointerPart(name: PropertyKey): string {
  return String(name).replaceAll("~", "~0").replaceAll("/", "~1");
}

/** A field and what is wrong with it, as problems list them. */
export type FieldError = { in: "body" | "query" | "path" | "header"; path: string; message: string };

function fieldError(path: string, message: string): FieldError {
  return { in: "body", path, message };
}
