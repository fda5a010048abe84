import { z } from "zod";
import { ArtifactMeta } from "./artifact.ts";
import { Cap, Spend } from "./budget.ts";
import { Answer, Intent, Tenant, TraceId } from "./message.ts";

/** RFC 9457, `application/problem+json`: how every error is answered. More members may stand beside these. */
export const Problem = z.looseObject({
  type: z.string(), // 'urn:dagent:problem:<code>'
  title: z.string(),
  status: z.number().int(),
  detail: z.string(), // what was wrong and what to do next
  code: z.string(), // a code of contracts/failure.ts
  trace_id: z.string(),
  errors: z.array(
    z.object({
      in: z.enum(["body", "query", "path", "header"]),
      path: z.string(), // JSON pointer to the field; '' is the whole
      message: z.string(),
    }),
  ),
});
export type Problem = z.infer<typeof Problem>;

export const TraceStatus = z.enum(["open", "done", "failed"]);

/** 202: the request is stored and will be worked on, whatever happens to this connection. */
export const Accepted = z.object({
  trace_id: TraceId,
  status: TraceStatus, // of the trace; a replayed request may have ended
  links: z.object({ trace: z.string(), artifacts: z.string() }),
});
export type Accepted = z.infer<typeof Accepted>;

/** How a trace ended when it did not end well. */
export const FailureView = z.object({
  code: z.string(),
  message: z.string(),
  details: z.record(z.string(), z.unknown()),
});
export type FailureView = z.infer<typeof FailureView>;

/** 200 to who prefers to wait: the trace is over. `answer` when it ended well, `failure` when it did not. */
export const Ended = Accepted.extend({ answer: Answer.nullable(), failure: FailureView.nullable() });
export type Ended = z.infer<typeof Ended>;

/** A trace: `answer` when it ended well, `failure` when it did not. */
export const TraceView = z.object({
  trace_id: TraceId,
  tenant: z.string(),
  intent: Intent,
  idempotency_key: z.string(),
  traceparent: z.string().nullable(),
  status: TraceStatus,
  answer: Answer.nullable(),
  failure: FailureView.nullable(),
  opened_at: z.iso.datetime(),
  ended_at: z.iso.datetime().nullable(),
  waits_for: z.array(
    z.object({
      kind: z.string(), // 'approval', 'callback'
      id: z.string(), // of the approval
      expires_at: z.iso.datetime(),
    }),
  ), // what must happen outside before it goes on; empty: nothing
});
export type TraceView = z.infer<typeof TraceView>;

/** A message of a trace, without its payload. */
export const EnvelopeView = z.object({
  id: z.string(),
  parent_id: z.string().nullable(),
  service: z.string(),
  role: z.string(),
  shard: z.number().int(),
  intent: Intent,
  status: z.enum(["queued", "claimed", "done", "dead", "expired", "cancelled"]),
  attempts: z.number().int(), // attempts begun
  agent_id: z.string().nullable(),
  created_at: z.iso.datetime(),
  ended_at: z.iso.datetime().nullable(),
});
export type EnvelopeView = z.infer<typeof EnvelopeView>;

/** One fact of a trace: a row of `bus_events`, and the data of one server-sent event. */
export const EventView = z.object({
  id: z.string(), // ascending digits
  at: z.iso.datetime(),
  kind: z.string(), // 'codegen_done'
  service: z.string().nullable(),
  role: z.string().nullable(),
  shard: z.number().int().nullable(),
  tenant: z.string().nullable(),
  intent: z.string().nullable(),
  trace_id: z.string().nullable(),
  message_id: z.string().nullable(),
  idempotency_key: z.string().nullable(),
  attempts: z.number().int().nullable(),
  worker: z.string().nullable(),
  agent_id: z.string().nullable(),
  agent_version: z.string().nullable(),
  canary: z.boolean(),
  details: z.record(z.string(), z.unknown()),
});
export type EventView = z.infer<typeof EventView>;

/** `GET /api/traces/:trace_id`: all that one request caused. */
export const TraceAnswer = z.object({
  trace: TraceView,
  messages: z.array(EnvelopeView), // in the order they were published
  events: z.array(EventView), // in the order of their ids
});
export type TraceAnswer = z.infer<typeof TraceAnswer>;

const Limit = z.coerce.number().int().min(1).max(500);

/** `GET /api/traces`: the latest of the tenant. `before` is the `next` of the page before. */
export const TracesQuery = z.strictObject({
  limit: Limit.default(50),
  status: z.enum([...TraceStatus.options, "waiting"]).optional(), // waiting: open, for a person or a callback
  intent: Intent.optional(), // as it was asked with: free text is 'chat'
  before: z
    .string()
    .regex(/^\d{1,18}$/, "is the `next` of the page before")
    .optional(),
});
export type TracesQuery = z.input<typeof TracesQuery>;

/** `GET /api/circuits`: those that are not closed. */
export const CircuitList = z.object({
  circuits: z.array(
    z.object({
      key: z.string(), // service.role.shard
      state: z.enum(["closed", "open", "half_open"]),
      since: z.iso.datetime(),
      because: z.string(),
      by_hand: z.boolean(), // stays open until somebody closes it
    }),
  ),
});
export type CircuitList = z.infer<typeof CircuitList>;

/** `GET /api/budgets`. */
export const BudgetList = z.object({
  budgets: z.array(
    z.object({
      tenant: Tenant,
      scope: z.enum(["day", "month", "trace"]),
      key: z.string().nullable(), // the day or month (UTC), or the trace id; null: nothing was spent in it yet
      spent: Spend,
      reserved: Spend, // put aside for calls under way
      cap: Cap, // null: no cap
    }),
  ),
});
export type BudgetList = z.infer<typeof BudgetList>;

/** `POST /api/circuits/:key/open` and `…/close`. */
export const CircuitChange = z.strictObject({ reason: z.string().min(1).max(500) });
export type CircuitChange = z.infer<typeof CircuitChange>;

/** `POST /api/traces/:trace_id/cancel`. */
export const Cancelled = z.object({
  trace_id: TraceId,
  cancelled: z.boolean(), // false: it had ended before
});
export type Cancelled = z.infer<typeof Cancelled>;

export const TraceList = z.object({
  traces: z.array(TraceView),
  next: z.string().nullable(), // the `before` of the next page; null: this is the last
});
export type TraceList = z.infer<typeof TraceList>;

/**
 * `GET /api/artifacts/index`: the latest first. `before` is a time, or the `next` of the page before
 * (a time and a path: many files are kept in one millisecond).
 */
export const ArtifactsQuery = z.strictObject({
  trace_id: TraceId.optional(),
  before: z
    .string()
    .max(1024)
    .transform((text, context) => {
      const [at = "", ...path] = text.split("/");
      if (z.iso.datetime().safeParse(at).success) return { at, path: path.join("/") };
      context.addIssue({ code: "custom", message: "is an ISO 8601 time in UTC, or the `next` of the page before" });
      return z.NEVER;
    })
    .optional(),
  limit: Limit.default(100),
});
export type ArtifactsQuery = z.input<typeof ArtifactsQuery>;

export const ArtifactList = z.object({
  artifacts: z.array(ArtifactMeta),
  next: z.string().nullable(), // the `before` of the next page; null: this is the last
});
export type ArtifactList = z.infer<typeof ArtifactList>;

/** `GET /health`, 200. Anything else is a problem with the reason. */
export const Health = z.object({
  status: z.literal("ok"),
  version: z.string(),
  database: z.literal("ok"),
  uptime_s: z.number().nonnegative(),
});
export type Health = z.infer<typeof Health>;

/** Whose key it is. A tenant key works for its tenant; operator and admin keys may name one in `x-tenant`. */
export const KeyKind = z.enum(["tenant", "operator", "admin", "sandbox"]); // sandbox: of a sandbox worker, for its hubs alone
export type KeyKind = z.infer<typeof KeyKind>;

/** `POST /api/keys`. A tenant that is new comes into being with its first tenant key. */
export const KeyRequest = z.strictObject({
  name: z.string().min(1).max(100),
  kind: KeyKind,
  tenant: Tenant.default("local"),
});
export type KeyRequest = z.input<typeof KeyRequest>;

export const KeyView = z.object({
  id: z.string(),
  name: z.string(),
  kind: KeyKind,
  tenant: z.string(),
  created_at: z.iso.datetime(),
  revoked_at: z.iso.datetime().nullable(),
});
export type KeyView = z.infer<typeof KeyView>;

/** 201: the key itself is shown here and never again. */
export const KeyCreated = KeyView.extend({ key: z.string() });
export type KeyCreated = z.infer<typeof KeyCreated>;

export const KeyList = z.object({ keys: z.array(KeyView) });
export type KeyList = z.infer<typeof KeyList>;
