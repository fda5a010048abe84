import type { FastifyReply, FastifyRequest } from "fastify";
import { publish } from "../bus/publish.ts";
import { Failure } from "../contracts/failure.ts";
import type { Accepted, Ended } from "../contracts/http.ts";
import { IdempotencyKey, type Intent } from "../contracts/message.ts";
import { knownKey } from "../store/messages.ts";
import { traceOf } from "../store/traces.ts";
import { refuseTooMany } from "./pressure.ts";
import type { RouteTools } from "./route.ts";
import { sendStream, wantsStream } from "./stream.ts";
import { traceIdIn } from "./traceparent.ts";
import { untilEnd, waitMsIn } from "./wait.ts";

/** What a route lets in: the role that takes it first, and the parsed body. */
export type Wish = { to: string; intent: Intent; payload: unknown };

/**
 * Stores a request on the bus and answers 202 with its trace; when the caller asks for server-sent events, the trace as
 * it happens; when the caller prefers to wait, 200 with how the trace ended, if it does in that time. The same Idempotency-Key with the same body answers the first trace, marked
 * `idempotency-replayed`. Throws `invalid_idempotency_key`, `idempotency_conflict`, `payload_too_large`,
 * `too_many_requests`.
 */
export async function admit(
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
  wish: Wish,
  tools: RouteTools,
): Promise<FastifyReply> {
  const { tenant } = request.identity;
  const { traceId, fresh, links } = await letIn({ request, reply }, wish, tools);
  const { sql, feed } = tools;
  if (wantsStream(request)) return sendStream(reply, feed.open({ traceId, tenant, after: "0" }));

  reply.header("cache-control", "no-store");
  const withinMs = waitMsIn(request);
  if (withinMs === null) {
    const known = fresh ? null : await traceOf(sql, traceId, tenant);
    const accepted: Accepted = { trace_id: traceId, status: known?.status ?? "open", links };
    return reply.code(202).send(accepted);
  }
  reply.header("preference-applied", `wait=${withinMs / 1000}`);
  const trace = await untilEnd({ request, feed }, { traceId, tenant }, { withinMs, fresh });
  if (!trace || trace.status === "open") {
    const accepted: Accepted = { trace_id: traceId, status: "open", links };
    return reply.code(202).send(accepted);
  }
  const { status, answer, failure } = trace;
  const ended: Ended = { trace_id: traceId, status, links, answer, failure };
  return reply.code(200).send(ended);
}

/** Stores a request on the bus, and tells its trace in the headers of the answer. */
export async function letIn(
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
  wish: Wish,
  tools: RouteTools,
) {
  const { traceId, fresh } = await store(request, wish, tools);
  const links = { trace: `/api/traces/${traceId}`, artifacts: `/api/artifacts/index?trace_id=${traceId}` };
  reply.header("x-trace-id", traceId).header("location", links.trace);
  if (!fresh) reply.header("idempotency-replayed", "true");
  return { traceId, fresh, links };
}

async function store(request: FastifyRequest, wish: Wish, { sql, newTraceId, limits }: RouteTools) {
  const { tenant } = request.identity;
  const key = idempotencyKeyOf(request);
  // What was let in before is answered, however full it is now.
  const before = key === null ? null : await knownKey(sql, { tenant, to: wish.to, key });
  if (!before) await refuseTooMany(sql, { tenant, to: wish.to, policy: limits() });
  const header = request.headers.traceparent;
  const sent = typeof header === "string" ? traceIdIn(header) : null;
  const traceparent = sent && typeof header === "string" ? header : null;
  const put = (traceId: string, idempotencyKey: string) =>
    publish(sql, { ...wish, tenant, traceId, idempotencyKey, traceparent });

  // A caller's trace may hold several requests to us: the first takes its id, without it the key is one of our own.
  const traceId = String(request.id);
  try {
    return await put(traceId, key ?? (sent ? newTraceId() : traceId));
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== "conflict") throw error;
    const other = newTraceId();
    return await put(other, key ?? other);
  }
}

function idempotencyKeyOf({ headers }: FastifyRequest): string | null {
  const sent = headers["idempotency-key"];
  if (sent === undefined) return null;
  const key = IdempotencyKey.safeParse(sent);
  if (key.success) return key.data;
  const message = key.error.issues[0]?.message ?? "is not a key";
  throw new Failure("invalid_idempotency_key", `Idempotency-Key ${message}`, {
    errors: [{ in: "header", path: "/idempotency-key", message }],
  });
}
