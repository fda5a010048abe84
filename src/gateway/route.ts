import type { IncomingMessage, ServerResponse } from "node:http";
import type { FastifyBaseLogger, FastifyInstance, FastifyTypeProvider, RawServerDefault } from "fastify";
import { z } from "zod";
import type { ApprovalPolicy } from "../contracts/approval.ts";
import type { OrchestratorPolicy } from "../contracts/choice.ts";
import { Accepted, Ended, Problem } from "../contracts/http.ts";
import type { LimitsPolicy } from "../contracts/policy.ts";
import type { Database } from "../store/database.ts";
import type { Identity } from "./guard.ts";
import type { Feed } from "./stream.ts";

declare module "fastify" {
  interface FastifyRequest {
    identity: Identity; // set by the guard before any handler
  }
}

/** Requests arrive as their zod shapes say. Answers may be streams or bytes too: a handler's return type says which. */
export interface Shapes extends FastifyTypeProvider {
  validator: this["schema"] extends z.ZodType ? z.output<this["schema"]> : unknown;
  serializer: unknown;
}

/** The server as routes see it: requests arrive parsed by the route's zod shapes. */
export type App = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, Shapes>;

/** What routes may use of the world. */
export type RouteTools = {
  sql: Database;
  feed: Feed;
  artifactsBase: string;
  adminToken: string | null;
  orchestrator: () => OrchestratorPolicy; // as it is in force now
  approvals: () => ApprovalPolicy;
  limits: () => LimitsPolicy;
  refusesAddress: (url: string) => string | null; // why no agent may be called there; null: it may
  now: () => Date;
  newTraceId: () => string;
  version: string;
};

/** A file in routes/: adds its routes to the server. */
export type Routes = (app: App, tools: RouteTools) => void;

const problem = { description: "What was wrong", content: { "application/problem+json": { schema: Problem } } };

/** How every route answers errors. */
export const problems = { "4xx": problem, "5xx": problem };

/** A stream of server-sent events, for the OpenAPI document. */
export const eventStream = { "text/event-stream": { schema: z.string() } };

/** How a route answers that lets a request in; see admit. */
export const admission = {
  headers: z.looseObject({
    "idempotency-key": z.string().optional().describe("1 to 200 visible ASCII characters: asking twice is asking once"),
    traceparent: z.string().optional().describe("W3C Trace Context: its trace id becomes the trace_id"),
    prefer: z
      .string()
      .optional()
      .describe("`wait=30`: answer when the trace is over, or after so many seconds (RFC 7240)"),
  }),
  response: {
    200: {
      description: "How the trace ended, to who prefers to wait; or its events, then `answer` or `failure`",
      content: { "application/json": { schema: Ended }, ...eventStream },
    },
    202: { description: "Stored; see the trace", content: { "application/json": { schema: Accepted } } },
    ...problems,
  },
};
