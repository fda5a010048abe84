import { z } from "zod";

/** `service.role`, the address of a handler. */
export const Role = z.string().regex(/^[a-z]+\.[a-z]+$/, "is written service.role");
export type Role = z.infer<typeof Role>;

export const Tenant = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "is lower-case letters, digits and dashes, at most 63");
export type Tenant = z.infer<typeof Tenant>;

/** What a request wants. `chat` is free text and becomes one of the others. */
export const Intent = z.enum(["chat", "rag.answer", "rag.index", "code.buildtest", "code.generate"]);
export type Intent = z.infer<typeof Intent>;

/** Visible ASCII, so that it survives every header, log and file name it travels through. */
export const IdempotencyKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,200}$/, "is 1 to 200 visible ASCII characters, without spaces");

/** A UUID of any version: a trace id that came in a `traceparent` is 128 bits of the caller's own making. */
export const TraceId = z.guid();

/** An agent that failed a request for good, and how. */
export const Failed = z.object({
  agent_id: z.string(),
  agent_version: z.string(),
  code: z.string(),
  message: z.string(),
});
export type Failed = z.infer<typeof Failed>;

/** Who was chosen for the work, and what may be spent on it. Travels with the message and is enforced. */
export const Assignment = z.object({
  agent_id: z.string(),
  agent_version: z.string(),
  canary: z.boolean(),
  model: z.string().nullable(),
  budget: z.object({
    max_cost_usd: z.number().nonnegative().nullable(), // null: no cap
    max_tokens: z.number().int().positive().nullable(),
  }),
  ttl_ms: z.number().int().positive().nullable(),
  fallback: z
    .object({
      of: z.string(), // the decision that chose
      left: z.number().int().nonnegative(), // how many other agents may be asked when this one fails for good
      failed: z.array(Failed), // who failed this request before
    })
    .nullish(), // none: nobody else is asked
  approval: z.object({ patch: z.boolean(), expires_s: z.number().int().positive() }).nullish(), // patch: a person is asked before the change is handed out, by the policy at the time of the decision
});
export type Assignment = z.infer<typeof Assignment>;

/** A message as it is stored and told to others: the wire form of Message. */
export const BusMessage = z.object({
  id: z.string().regex(/^\d+$/), // ascending
  service: z.string().regex(/^[a-z]+$/),
  role: z.string().regex(/^[a-z]+$/),
  shard: z.number().int().min(0).max(1023),
  tenant: Tenant,
  intent: Intent,
  trace_id: TraceId,
  root_id: z.string().regex(/^\d+$/), // the message that opened the trace
  parent_id: z.string().regex(/^\d+$/).nullable(),
  join_id: z.string().regex(/^\d+$/).nullable(), // the join it is a branch of
  idempotency_key: z.string().min(1).max(220),
  priority: z.number().int().min(0).max(9), // 9 goes first
  order_key: z.string().nullable(), // of an ordered role: what keeps its order
  expires_at: z.iso.datetime().nullable(), // not ended by then: expired
  traceparent: z.string().nullable(), // of the first message: as the caller sent it
  assignment: Assignment.nullable(), // who was chosen, and what may be spent
  attempts: z.number().int().min(0).max(100), // begun so far
  payload: z.unknown(),
  created_at: z.iso.datetime(),
});
export type BusMessage = z.infer<typeof BusMessage>;

/** A wish for work as a handler sees it, under its lease. `attempts` counts attempts begun, this one included. */
export type Message<Payload = unknown> = {
  id: string; // ascending digits
  service: string;
  role: string;
  shard: number;
  tenant: Tenant;
  intent: Intent;
  traceId: string;
  rootId: string; // the message that opened the trace
  parentId: string | null;
  joinId: string | null; // the join it is a branch of
  idempotencyKey: string;
  priority: number; // 0..9, 9 goes first
  orderKey: string | null; // of an ordered role: what keeps its order
  expiresAt: Date | null; // not ended by then: expired
  traceparent: string | null; // of the first message: as the caller sent it
  assignment: Assignment | null;
  attempts: number; // 1..
  payload: Payload;
  createdAt: Date;
};

/** Where an answer came from: the place in a document of the tenant. */
export const Citation = z.object({
  document_id: z.string(),
  title: z.string(),
  section: z.string(),
  span: z.tuple([z.number().int(), z.number().int()]), // characters of the document, [from, to)
  quote: z.string(),
});
export type Citation = z.infer<typeof Citation>;

/** What a trace ends with when it ends well. A red test is an answer with verdict `fail`, not a failure. */
export const Answer = z.object({
  text: z.string(),
  verdict: z.enum(["pass", "fail"]).nullable(),
  citations: z.array(Citation),
  provider: z.string().nullable(), // the model or replay behind it; null: no model was used
  replay: z.boolean(), // true: recorded output, not a live model
});
export type Answer = z.infer<typeof Answer>;
