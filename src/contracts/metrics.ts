import { z } from "zod";
import { ErrorReason } from "./violation.ts";

const count = z.number().int().nonnegative();
const share = z.number().min(0).max(1);

/**
 * `GET /api/metrics/summary`: the state of the whole system in one answer.
 * What happened is counted over the last `window_s` seconds; what stands is as of `at`. What is not measured is null;
 * a zero was counted.
 */
export const Summary = z.object({
  at: z.iso.datetime(),
  window_s: count, // how far back the counts of events look
  totals: z.object({
    messages: z.object({
      accepted: count, // stored in the window
      queued: count, // wait now, due or not
      claimed: count, // under a lease now
      done: count, // ended well in the window
      retried: count, // attempts in the window that failed and are tried again
      dead: count, // became dead letters in the window
      expired: count, // passed their time to live in the window
      cancelled: count, // called off in the window
    }),
    traces: z.object({
      open: count, // of those opened in the window: not ended
      done: count, // ended with an answer
      failed: count, // ended with a failure
    }),
    dead_letters: count, // that stand now, of any age
    artifacts: z.object({
      files: count, // kept in the window
      bytes: count, // their size together
    }),
  }),
  circuits: z.array(
    z.object({
      key: z.string(), // service.role.shard
      state: z.enum(["closed", "open", "half_open"]),
      since: z.iso.datetime(),
      because: z.string(),
    }),
  ), // those that are not closed
  waits: z.array(
    z.object({
      kind: z.string(), // 'approval': for a person; 'callback'
      waiting: count, // now
      oldest_s: z.number().nonnegative(), // how long the one that has waited longest does
    }),
  ), // what must happen outside before a trace goes on; kinds of which none waits are left out
  orchestrator: z.object({
    decisions: count, // in the window
    canary: count, // of them, those that chose a canary
    by_agent: z.array(
      z.object({
        agent_id: z.string(),
        agent_version: z.string(),
        decisions: count,
      }),
    ), // most chosen first
  }),
  rag: z.object({
    queries: count, // that ended in the window, well or not
    success_rate: share.nullable(), // of them, those that ended well; null: there were none
    latency_ms: z.object({ p50: z.number(), p95: z.number(), p99: z.number() }).nullable(), // from stored to done, waiting included; null: none was done
    empty_answer_rate: share.nullable(), // of the answers to questions, those without a citation; null: there were none
  }),
  sandbox: z.object({
    errors: z.array(
      z.object({
        tenant: z.string(),
        reason: ErrorReason, // why a run was ended, or could not be carried out
        count, // attempts in the window
      }),
    ), // most first
    refusing: count, // connected sandbox workers that refuse all work
  }),
  backlog: z.array(
    z.object({
      key: z.string(), // service.role.shard
      service: z.string(),
      role: z.string(),
      shard: count,
      queued: count, // wait, due or not
      due: count, // of them, those that could be claimed now
      claimed: count, // under a lease
      oldest_due_s: z.number().nonnegative().nullable(), // how long the oldest due one waits; null: none is due
    }),
  ),
  workers: z.array(
    z.object({
      id: z.string(),
      kind: z.enum(["worker", "sandbox"]),
      roles: z.array(z.string()), // service.role; empty for a sandbox
      facts: z.record(z.string(), z.unknown()), // what it said of itself: running, slots, class
      started_at: z.iso.datetime(),
      heartbeat_at: z.iso.datetime(), // within the last 15 seconds
    }),
  ),
});
export type Summary = z.infer<typeof Summary>;
