import { z } from "zod";
import { cancelTrace } from "../../bus/cancel.ts";
import { Failure } from "../../contracts/failure.ts";
import {
  Cancelled,
  type EnvelopeView,
  type EventView,
  TraceAnswer,
  TraceList,
  TracesQuery,
  type TraceView,
} from "../../contracts/http.ts";
import { TraceId } from "../../contracts/message.ts";
import { type BusEvent, eventsOf } from "../../store/events.ts";
import { type Envelope, envelopesOf, latestTraces, type Trace, traceOf } from "../../store/traces.ts";
import { waitsOf } from "../../store/waits.ts";
import { eventStream, problems, type Routes } from "../route.ts";
import { lastEventId, sendStream, wantsStream } from "../stream.ts";
import { untilEnd, waitMsIn } from "../wait.ts";

/** `GET /api/traces` and `GET /api/traces/:trace_id`: what happened to requests of the tenant. */
export const traceRoutes: Routes = (app, { sql, feed }) => {
  app.route({
    method: "GET",
    url: "/api/traces",
    schema: {
      operationId: "traces",
      summary: "The latest traces, by status and intent; status=waiting: those that wait for a person or a callback",
      querystring: TracesQuery,
      response: { 200: TraceList, ...problems },
    },
    async handler({ query, identity: { tenant } }): Promise<TraceList> {
      const { limit, status = null, intent = null, before = null } = query;
      const found = await latestTraces(sql, { tenant, status, intent, before, limit: limit + 1 });
      const traces = found.slice(0, limit);
      const waits = await waitsOf(
        sql,
        traces.filter((one) => one.status === "open").map(({ trace_id }) => trace_id),
      );
      const next = found.length > limit ? (traces.at(-1)?.root_id ?? null) : null;
      return { traces: traces.map((one) => viewOfTrace(one, waits)), next };
    },
  });

  app.route({
    method: "GET",
    url: "/api/traces/:trace_id",
    schema: {
      operationId: "trace",
      summary:
        "All that one request caused; with Accept: text/event-stream as it happens, resuming after Last-Event-ID; with Prefer: wait=30 when it is over, or after so many seconds",
      params: z.object({ trace_id: TraceId }),
      response: {
        200: { description: "The trace", content: { "application/json": { schema: TraceAnswer }, ...eventStream } },
        ...problems,
      },
    },
    async handler(request, reply) {
      const { tenant } = request.identity;
      const traceId = request.params.trace_id.toLowerCase();
      const found = await traceOf(sql, traceId, tenant);
      if (!found) throw new Failure("not_found", `there is no trace ${traceId}`);
      if (wantsStream(request)) {
        return sendStream(reply, feed.open({ traceId, tenant, after: lastEventId(request) }));
      }
      const withinMs = waitMsIn(request);
      if (withinMs !== null) reply.header("preference-applied", `wait=${withinMs / 1000}`);
      const waited =
        withinMs !== null && found.status === "open"
          ? await untilEnd({ request, feed }, { traceId, tenant }, { withinMs, fresh: false })
          : null;
      const trace = waited ?? found;
      const [messages, events, waits] = await Promise.all([
        envelopesOf(sql, traceId),
        eventsOf(sql, traceId),
        waitsOf(sql, [traceId]),
      ]);
      return reply.header("content-type", "application/json; charset=utf-8").send({
        trace: viewOfTrace(trace, waits),
        messages: messages.map(viewOfEnvelope),
        events: events.map(viewOfEvent),
      } satisfies TraceAnswer);
    },
  });

  app.route({
    method: "POST",
    url: "/api/traces/:trace_id/cancel",
    schema: {
      operationId: "cancelTrace",
      summary: "Call a trace off: what waits is ended, what runs is told to stop",
      params: z.object({ trace_id: TraceId }),
      response: { 200: Cancelled, ...problems },
    },
    async handler({ params, identity: { tenant, name } }): Promise<Cancelled> {
      const traceId = params.trace_id.toLowerCase();
      return { trace_id: traceId, cancelled: await cancelTrace(sql, { traceId, tenant, by: name }) };
    },
  });
};

function viewOfTrace({ opened_at, ended_at, ...trace }: Trace, waits: Awaited<ReturnType<typeof waitsOf>>): TraceView {
  return {
    ...trace,
    opened_at: opened_at.toISOString(),
    ended_at: ended_at?.toISOString() ?? null,
    waits_for: waits
      .filter(({ trace_id }) => trace_id === trace.trace_id)
      .map(({ kind, id, expires_at }) => ({ kind, id, expires_at: expires_at.toISOString() })),
  };
}

function viewOfEnvelope({ created_at, ended_at, ...envelope }: Envelope): EnvelopeView {
  return { ...envelope, created_at: created_at.toISOString(), ended_at: ended_at?.toISOString() ?? null };
}

function viewOfEvent({ at, ...event }: BusEvent): EventView {
  return { ...event, at: at.toISOString() };
}
