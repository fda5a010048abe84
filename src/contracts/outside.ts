import { z } from "zod";
import type { Reach } from "./agent.ts";
import { EditSet } from "./code.ts";
import { Intent, Tenant, TraceId } from "./message.ts";

import type { Model } from "./model.ts";

/** What reaching an agent outside needs of the process that does it. */
export type Outside = {
  /** Refuses addresses that `configs/outbound.json` forbids, by what a name resolves to, and follows no redirect. */
  fetch: typeof fetch;
  /** The value of a secret by its name. Throws `agent_failed` when this worker has none of that name. */
  secretOf(name: string): string;
  /** Of the gateway, as agents reach it: where later answers go. */
  publicUrl: string;
  /** A secret nobody can guess, for one callback. */
  newToken(): string;
  /** A model at an address of its own. */
  modelAt(reach: Extract<Reach, { kind: "openai" }>): Model;
};

/** What an agent of kind `http` is asked: the body of the POST. Also what `a2a` and `mcp` agents get, as data. */
export const AgentAsk = z.object({
  schema: z.literal("agent.ask/1"),
  message_id: z.string(), // asked again after a failure, the same: do the work once
  trace_id: TraceId,
  tenant: Tenant,
  intent: Intent,
  agent: z.object({ agent_id: z.string(), agent_version: z.string() }),
  round: z.number().int().min(1), // from the second on, `messages` tell why the change before was red
  messages: z.array(z.object({ role: z.enum(["system", "user", "assistant"]), content: z.string() })),
  language: z.string().nullable(),
  build: z.string().nullable(),
  test: z.string().nullable(),
  max_tokens: z.number().int().positive().nullable(), // null: no cap
  timeout_ms: z.number().int().positive(), // the answer, or 202, is awaited that long
  callback: z.object({ url: z.url(), token: z.string(), expires_at: z.iso.datetime() }).nullable(), // for those who answer 202
});
export type AgentAsk = z.infer<typeof AgentAsk>;

/** Of an answer that is of no shape: what is wrong with the shape it comes nearest to, which is known by the deepest issue. */
function nearest({ input, ...issue }: z.core.$ZodRawIssue): string | undefined {
  if (issue.code !== "invalid_union") return undefined;
  const issues = issue.errors.flat().flatMap((one) => (one.code === "invalid_union" ? one.errors.flat() : one));
  const [deepest] = issues.sort((a, b) => b.path.length - a.path.length);
  if (!deepest) return undefined;
  const { path, message } = deepest;
  return path.length === 0 ? message : `${path.join("/")}: ${message}`;
}

/** What an answer did take. */
export const Usage = z.object({
  input_tokens: z.number().int().nonnegative(),
  output_tokens: z.number().int().nonnegative(),
  cost_usd: z.number().nonnegative().nullable().default(null),
});
export type Usage = z.infer<typeof Usage>;

/** What an agent answers, at once or later: a change, or text that holds one as a model writes it. */
export const AgentAnswer = z.union(
  [
    z.object({ change: EditSet, usage: Usage.nullish(), model: z.string().max(200).nullish() }),
    z.object({ text: z.string().min(1).max(1_000_000), usage: Usage.nullish(), model: z.string().max(200).nullish() }),
  ],
  { error: nearest },
);
export type AgentAnswer = z.infer<typeof AgentAnswer>;

export const CallbackParams = z.object({ id: z.string().regex(/^\d{1,19}$/, "is the id in the callback's URL") });

/** Whose an answer is, for those who want to be sure. */
const named = { trace_id: TraceId.optional() };

/** How far an agent is that will answer later. Nothing else is in it: an answer that is none must not pass for progress. */
export const AgentProgress = z.strictObject({ progress: z.string().trim().min(1).max(500), ...named });
export type AgentProgress = z.infer<typeof AgentProgress>;

/** An answer that comes later. */
export const CallbackAnswer = z.intersection(z.object(named), AgentAnswer);
export type CallbackAnswer = z.infer<typeof CallbackAnswer>;

/** What is posted to a callback: the answer; before it, as often as one likes, progress. */
export const CallbackBody = z.union([CallbackAnswer, AgentProgress], { error: nearest });
export type CallbackBody = z.infer<typeof CallbackBody>;

/** What a callback is told of its answer: taken, and where the trace is. */
export const CallbackTaken = z.object({ trace_id: TraceId, taken: z.literal(true) });
export type CallbackTaken = z.infer<typeof CallbackTaken>;

/** What it is told of progress. */
export const CallbackTold = z.object({
  trace_id: TraceId,
  told: z.boolean(), // false: dropped, for another was told less than a second before
});
export type CallbackTold = z.infer<typeof CallbackTold>;

/** Whom a trace waits for: the `asked` of its wait. */
export const CallbackAsk = z.object({
  message_id: z.string(), // the callback's id
  agent_id: z.string(),
  agent_version: z.string(),
  kind: z.string(), // how it was reached
});
export type CallbackAsk = z.infer<typeof CallbackAsk>;

/** The answer of a wait as the message that goes on has it. */
export const Answered = z.object({ id: z.string(), by: z.string(), answer: AgentAnswer });
