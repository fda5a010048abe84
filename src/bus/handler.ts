import type { z } from "zod";
import type { Artifact } from "../contracts/artifact.ts";
import type { Figure } from "../contracts/budget.ts";
import type { Failure } from "../contracts/failure.ts";
import type { Answer, Assignment, Intent, Message } from "../contracts/message.ts";
import type { ModelSet } from "../contracts/model.ts";
import type { Outside } from "../contracts/outside.ts";
import type { PricePolicy } from "../contracts/policy.ts";
import type { SandboxRun } from "../contracts/sandbox.ts";
import type { Upload } from "../contracts/upload.ts";
import type { Database } from "../store/database.ts";
import type { Outlet } from "./outlet.ts";

/** A message that follows from this one. What is not given is inherited. */
export type Next = {
  to: string; // 'codegen.generate'
  payload: unknown;
  intent?: Intent;
  assignment?: Assignment | null;
  key?: string; // its idempotency key, when one role is visited more than once in a trace
  priority?: number; // 0..9, 9 goes first
  ttlMs?: number; // not ended by then: expired
  delayMs?: number; // not before then
  shardKey?: string; // what chooses the shard, and keeps order in an ordered role; the tenant unless given
};

/** Waiting for a person or a callback, without holding a lease. */
export type Wait = {
  kind: string; // 'approval', 'callback'
  asked: Record<string, unknown>; // shown to whoever answers
  secretHash?: Buffer; // SHA-256 of a token that may answer
  expiresMs: number;
  next: Next; // published with the answer, as `answered` in its payload: { id, by, answer }
  onExpiry?: Next; // published when nobody answers, with `unanswered` in its payload: { id }; without it the trace fails as expired
};

/**
 * What a handler hands back. The worker commits all of it with the ack, or none of it.
 * A step goes on (`next`, `wait`) or ends the trace (`answer`); one that does neither must be a branch of a join.
 * With a `join`, the messages of `next` are branches: when the last of them (and all that follows from it) has ended,
 * well or not, `join` is published with `branches` in its payload: `[{ to, key, status, result, failure }]`.
 */
export type Outcome<Result> = { result: Result; next?: Next[]; join?: Next; wait?: Wait; answer?: Answer };

/** What a handler may use of the world. */
export type Tools = {
  sql: Database;
  now: () => Date;
  signal: AbortSignal; // fires when the lease is lost, the attempt is over time or the worker stops
  models: ModelSet;
  prices?: (() => PricePolicy) | undefined; // of models; none: what a call did cost is not known
  outside?: Outside | undefined; // without it no agent outside can be reached
  sandbox: {
    run: SandboxRun;
    commandsOf?: (profile: string) => { build?: string | undefined; test?: string | undefined };
  };
  /** Opens a project that the message's tenant has uploaded. Throws `not_found`. */
  upload(id: string): Promise<Upload>;
  /** Keeps a file with the settlement of this attempt; nothing is visible before it. */
  keep(artifact: Artifact): Promise<void>;
  /**
   * Puts aside what one call to the outside may cost, once an attempt; what is null is estimated. Answers how many tokens
   * the call may take; null: no cap. Throws `budget_exhausted`.
   */
  reserve(most: Figure): Promise<{ tokens: number | null }>;
  /** Where a model's words go while it speaks: to whoever follows the trace, and into no history. */
  outlet?(round: number): Outlet;
  /** Says what the call did cost. Booked with the settlement, however the attempt ends. */
  spend(figure: Figure): void;
  /** Tells progress: one `…_status` event, written at once; named after the role's service, unless `kind` is given. */
  status(text: string, data?: Record<string, unknown>, kind?: string): Promise<void>;
  /** Adds an event of its own kind to the settlement, e.g. `orchestrate_decision`. */
  record(kind: string, data: Record<string, unknown>): void;
};

/** One role of one service: takes a message, answers an outcome, or throws a Failure. */
export type Handler<Payload, Result> = {
  role: string;
  accepts: z.ZodType<Payload>;
  answers: z.ZodType<Result>;
  ordered?: boolean; // one message of a shard key at a time, in the order of publishing; retries hold the others back
  handle(message: Message<Payload>, tools: Tools): Promise<Outcome<Result>>;
  /** What happens instead of failing the trace when a message is dead, e.g. a fallback. Null: nothing. */
  onDead?(message: Message<Payload>, failure: Failure): Next | null;
};

/** Handlers of different payloads in one list; the worker parses before it calls. */
// biome-ignore lint/suspicious/noExplicitAny: a list of handlers is contravariant in its payloads; accepts.parse restores the type
export type AnyHandler = Handler<any, unknown>;
