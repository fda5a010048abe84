import { z } from "zod";
import { Failure, type FailureCode, failures } from "../contracts/failure.ts";
import { Problem } from "../contracts/http.ts";

/** Where the gateway is, and with what we come. */
export type Door = {
  url: string; // 'http://127.0.0.1:8080'
  token?: string; // a key: 'dag_…'
  adminToken?: string;
  tenant?: string; // named by an operator or admin
};

export type Call = {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  body?: unknown;
  stream?: AsyncIterable<Uint8Array>; // a body that is sent as it comes
  headers?: Record<string, string>;
  signal?: AbortSignal;
};

/** One request. Throws a Failure with the code of the problem when it is answered with one. */
export async function ask(
  door: Door,
  { method = "GET", path, body, stream, headers = {}, signal }: Call,
): Promise<Response> {
  const init: RequestInit & { duplex?: "half" } = {
    method,
    headers: {
      ...(door.token !== undefined && { authorization: `Bearer ${door.token}` }),
      ...(door.adminToken !== undefined && { "x-admin-token": door.adminToken }),
      ...(door.tenant !== undefined && { "x-tenant": door.tenant }),
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    // Without these two, fetch keeps all of a body that it may have to send again behind a redirect.
    ...(stream && { body: ReadableStream.from(stream), duplex: "half" as const, redirect: "error", window: null }),
    ...(signal && { signal }),
  };
  const answer = await fetch(new URL(path, door.url), init).catch((cause) => {
    signal?.throwIfAborted();
    throw new Failure("gateway_unreachable", `nobody answers at ${door.url}: is the gateway up?`, { cause });
  });
  if (!answer.ok) throw await failureIn(answer);
  return answer;
}

/** The body of an answer in its shape. */
export async function read<Shape extends z.ZodType>(answer: Response, shape: Shape): Promise<z.output<Shape>> {
  const parsed = shape.safeParse(await answer.json().catch(() => null));
  if (parsed.success) return parsed.data;
  const reason = z.prettifyError(parsed.error);
  throw new Failure("internal", `${answer.url} answered in another shape than this client knows: ${reason}`);
}

/** What the gateway said no with; something else than a problem came from a proxy in between. */
async function failureIn(answer: Response): Promise<Failure> {
  const problem = Problem.safeParse(await answer.json().catch(() => null));
  if (!problem.success) {
    return new Failure("gateway_unreachable", `${answer.url} answered ${answer.status}, and no problem of ours`);
  }
  const { code, detail, type, title, ...details } = problem.data;
  return new Failure(isCode(code) ? code : "internal", detail, details);
}

function isCode(code: string): code is FailureCode {
  return Object.hasOwn(failures, code);
}
