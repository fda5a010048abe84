import type { z } from "zod";
import type { Artifact } from "../contracts/artifact.ts";
import type { Answer, Assignment, Intent, Message } from "../contracts/message.ts";
import type { ModelSet } from "../contracts/model.ts";
import type { SandboxRun } from "../contracts/sandbox.ts";
import type { Database } from "../store/database.ts";

/** A message that follows from this one. What is not given is inherited. */
export type Next = {
  to: string; // 'codegen.generate'
  payload: unknown;
  intent?: Intent;
  assignment?: Assignment;
  key?: string; // its idempotency key, when one role is visited more than once in a trace
};

/**
 * What a handler hands back. The worker commits all of it with the ack, or none of it.
 * A step either goes on (`next`) or ends the trace (`answer`); one that does neither is refused as a bug.
 */
export type Outcome<Result> = { result: Result; next?: Next[]; answer?: Answer };

/** What a handler may use of the world. */
export type Tools = {
  sql: Database;
  now: () => Date;
  signal: AbortSignal; // fires when the lease is lost, the attempt is over time or the worker stops
  models: ModelSet;
  sandbox: { run: SandboxRun };
  /** Keeps a file with the settlement of this attempt; nothing is visible before it. */
  keep(artifact: Artifact): Promise<void>;
  /** Tells progress: one `…_status` event, written at once. */
  status(text: string, data?: Record<string, unknown>): Promise<void>;
  /** Adds an event of its own kind to the settlement, e.g. `orchestrate_decision`. */
  record(kind: string, data: Record<string, unknown>): void;
};

/** One role of one service: takes a message, answers an outcome, or throws a Failure. */
export type Handler<Payload, Result> = {
  role: string;
  accepts: z.ZodType<Payload>;
  answers: z.ZodType<Result>;
  handle(message: Message<Payload>, tools: Tools): Promise<Outcome<Result>>;
};

/** Handlers of different payloads in one list; the worker parses before it calls. */
// biome-ignore lint/suspicious/noExplicitAny: a list of handlers is contravariant in its payloads; accepts.parse restores the type
export type AnyHandler = Handler<any, unknown>;
