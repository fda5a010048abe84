import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import Fastify, { type ConnectionError, type FastifyRequest, type RouteOptions } from "fastify";
import { serializerCompiler } from "fastify-type-provider-zod";
import type { z } from "zod";
import { Failure } from "../contracts/failure.ts";
import type { Log } from "../contracts/log.ts";
import { decode, refuseUnstorable } from "./body.ts";
import { type GuardOptions, guard } from "./guard.ts";
import { misfit, problemOf, problemType, sendProblem } from "./problem.ts";
import type { App, Shapes } from "./route.ts";
import { traceIdIn } from "./traceparent.ts";

/** A server without routes: our limits, our trace ids (the id of a request is its trace id), our parsing. */
export function openDoor({ bodyLimit, newTraceId, log }: DoorOptions): App {
  const app = Fastify({
    bodyLimit,
    requestTimeout: 600_000, // to send a whole request, an upload too
    connectionTimeout: 60_000, // without a byte in or out: a stream's reader that stalls is let go
    return503OnClosing: false,
    http: { requireHostHeader: false, headersTimeout: 30_000 }, // we say it ourselves, as a problem
    routerOptions: { maxParamLength: 1024 },
    genReqId: ({ headers: { traceparent } }) =>
      (typeof traceparent === "string" ? traceIdIn(traceparent) : null) ?? newTraceId(),
    frameworkErrors: (error, _request, reply) => void sendProblem(reply, error, log),
    clientErrorHandler: (error, socket) => refuseRaw(socket, error, newTraceId()),
  }).withTypeProvider<Shapes>();

  app.setValidatorCompiler<z.ZodType>(({ schema, httpPart }) => (input) => {
    const parsed = schema.safeParse(input);
    return parsed.success ? { value: parsed.data } : { error: misfit(parsed.error, httpPart) };
  });
  app.setSerializerCompiler(serializerCompiler);
  app.removeAllContentTypeParsers();
  const parse = app.getDefaultJsonParser("error", "error"); // names that reach for a prototype are refused
  app.addContentTypeParser(
    "application/json",
    { parseAs: "buffer" },
    async (request: FastifyRequest, bytes: Buffer) => {
      const text = decode(bytes);
      const body = await new Promise((resolve, reject) => {
        parse(request, text, (error, parsed) => (error ? reject(error) : resolve(parsed)));
      });
      refuseUnstorable(body);
      return body;
    },
  );
  return app;
}

export type DoorOptions = { bodyLimit: number; newTraceId: () => string; log: Log };

/** Stands at the door: every request gets a trace id, passes the guard, and leaves one line in the log. */
export function watch(app: App, options: GuardOptions & { log: Log }): void {
  app.decorateRequest("identity");
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-trace-id", request.id);
    if (request.headers.host === undefined) throw new Failure("invalid_request", "the request has no Host header");
    if (!request.is404) request.identity = await guard(request, options);
  });
  app.addHook("onResponse", async (request, reply) => {
    const { method, routeOptions, url, identity } = request;
    options.log.info(
      {
        trace_id: reply.getHeader("x-trace-id"),
        method,
        route: routeOptions.url ?? url.replace(/\?.*$/s, "").slice(0, 200),
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime * 10) / 10,
        tenant: identity?.tenant ?? null,
        caller: identity?.kind ?? null,
      },
      "request",
    );
  });
}

/** Every error is a problem, the framework's own too: an unknown route 404, a wrong method 405 with Allow. */
export function refuseUnknown(app: App, { routes, log }: { routes: RouteOptions[]; log: Log }): void {
  app.setErrorHandler((error, _request, reply) => sendProblem(reply, error, log));
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.replace(/\?.*$/s, "");
    const here = routes.filter(({ url }) => patternOf(url).test(path));
    if (here.length === 0) return sendProblem(reply, new Failure("not_found", `there is no ${path} here`), log);
    const allow = [...new Set(here.flatMap(({ method }) => method))].sort();
    reply.header("allow", allow.join(", "));
    return sendProblem(reply, new Failure("method_not_allowed", `${path} takes ${allow.join(", ")}`, { allow }), log);
  });
}

/** The paths of a route: ':name' is one part, '*' is the rest. */
function patternOf(url: string): RegExp {
  const escaped = url.replace(/[.+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replace(/:\w+/g, "[^/]+").replace("*", ".*")}$`);
}

/** What HTTP answers to bytes that never became a request. */
const rawStatus: Record<string, number> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 };

/** Answers what is not HTTP, has too long headers or never ends; there is no request to answer to. */
function refuseRaw(socket: Socket, error: ConnectionError, traceId: string): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  const status = rawStatus[error.code] ?? 400;
  const reason = STATUS_CODES[status] ?? "Bad Request";
  const failure = new Failure("invalid_request", `the request cannot be read: ${reason}`);
  const body = JSON.stringify({ ...problemOf(failure, traceId), status });
  socket.end(
    [
      `HTTP/1.1 ${status} ${reason}`,
      `content-type: ${problemType}`,
      `content-length: ${Buffer.byteLength(body)}`,
      `x-trace-id: ${traceId}`,
      "connection: close",
      "",
      body,
    ].join("\r\n"),
  );
}
