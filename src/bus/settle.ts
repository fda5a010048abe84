import { asFailure, Failure, recordOf } from "../contracts/failure.ts";
import type { RetryPolicy } from "../contracts/policy.ts";
import { judge, ruleFor } from "../rules/retry.ts";
import { shardOf } from "../rules/shard.ts";
import { dropStaged, keepStaged, type Staged } from "../store/artifacts.ts";
import type { Database, Sql } from "../store/database.ts";
import { tell } from "../store/events.ts";
import { type Claimed, end, insertMessages, lapsed, release, requeue } from "../store/messages.ts";
import { endTrace } from "../store/traces.ts";
import { wake } from "../store/wake.ts";
import type { Next, Outcome } from "./handler.ts";
import { payloadCap, shards } from "./publish.ts";

/** What an attempt left behind besides its outcome; written with the settlement, or thrown away with it. */
export type Traces = { staged: Staged[]; records: { kind: string; data: Record<string, unknown> }[] };

export type Settling = { sql: Database; artifactsBase: string; policy: () => RetryPolicy; chance: () => number };

/**
 * Ends an attempt well: result, events, files, all `next` messages and the end of the trace in one transaction.
 * Throws `lease_lost` when the message is no longer ours, and then nothing of the attempt remains.
 */
export async function settleDone(
  { sql, artifactsBase }: Settling,
  message: Claimed,
  { outcome, staged, records }: Traces & { outcome: Outcome<unknown> },
): Promise<void> {
  const next = outcome.next ?? [];
  if (next.length === 0 && !outcome.answer) {
    throw new Failure("internal", `${message.service}.${message.role} neither went on nor answered`);
  }
  const drafts = next.map((one) => draftOf(message, one));
  await sql.begin(async (tx) => {
    await mustHold(tx, message, staged);
    await keepStaged(tx, artifactsBase, staged);
    await end(tx, message, { status: "done", result: outcome.result });
    for (const { kind, data } of records) await tell(tx, message, { kind, details: data });
    await tell(tx, message, { what: "done" });
    const fresh = await insertMessages(tx, drafts);
    if (fresh.length < drafts.length) throw new Failure("internal", "a follow-up's key was used before in its role");
    if (outcome.answer) await endTrace(tx, message.traceId, { answer: outcome.answer });
  });
  await wake(sql, { roles: next.map(({ to }) => to), traces: [message.traceId] });
}

/**
 * Ends an attempt badly: tried again after a delay, or dead, and with it its trace. The files the handler kept
 * (an error report, a log) stay. Throws `lease_lost` like settleDone.
 */
export async function settleFailed(
  settling: Settling,
  message: Claimed,
  { thrown, staged, records }: Traces & { thrown: unknown },
): Promise<void> {
  const { sql, artifactsBase } = settling;
  await sql.begin(async (tx) => {
    await mustHold(tx, message, staged);
    await keepStaged(tx, artifactsBase, staged);
    for (const { kind, data } of records) await tell(tx, message, { kind, details: data });
    await fail(tx, message, { failure: asFailure(thrown), settling });
  });
  await wake(sql, { roles: [], traces: [message.traceId] });
}

/** Gives a message back untouched: the worker is stopping. The attempt counts, because it was begun. */
export async function giveBack({ sql }: Settling, message: Claimed): Promise<void> {
  await sql.begin(async (tx) => {
    if (!(await release(tx, message))) return;
    await requeue(tx, message, 0);
    await tell(tx, message, { what: "retry", details: { why: "the worker stopped", delay_ms: 0 } });
  });
  await wake(sql, { roles: [`${message.service}.${message.role}`], traces: [] });
}

/**
 * Settles the messages whose lease ran out, as lost with their worker. A message that kills its worker again and
 * again runs out of attempts and becomes a dead letter. Answers how many there were.
 */
export async function settleLapsed(settling: Settling, limit = 100): Promise<number> {
  const lost = await settling.sql.begin(async (tx) => {
    const messages = await lapsed(tx, limit);
    for (const message of messages) {
      if (!(await release(tx, message))) continue;
      const failure = new Failure("worker_lost", "the lease ran out: the worker died or lost its connection");
      await fail(tx, message, { failure, settling });
    }
    return messages;
  });
  if (lost.length > 0) {
    const roles = [...new Set(lost.map(({ service, role }) => `${service}.${role}`))];
    await wake(settling.sql, { roles, traces: [...new Set(lost.map(({ traceId }) => traceId))] });
  }
  return lost.length;
}

async function fail(
  tx: Sql,
  message: Claimed,
  { failure, settling }: { failure: Failure; settling: Settling },
): Promise<void> {
  const record = recordOf(failure);
  const rule = ruleFor(settling.policy(), message);
  const verdict = judge(failure, rule, { attempts: message.attempts, chance: settling.chance() });
  if (verdict.again) {
    await requeue(tx, message, verdict.delayMs);
    await tell(tx, message, { what: "retry", details: { failure: record, delay_ms: verdict.delayMs } });
    return;
  }
  await end(tx, message, { status: "dead", failure: record });
  await tell(tx, message, { what: "failed", details: { failure: record } });
  await tell(tx, message, { what: "dead", details: { why: verdict.why } });
  await endTrace(tx, message.traceId, { failure: record });
}

async function mustHold(tx: Sql, message: Claimed, staged: Staged[]): Promise<void> {
  if (await release(tx, message)) return;
  await dropStaged(staged);
  throw new Failure("lease_lost", `message ${message.id} is no longer held by this attempt`);
}

function draftOf(message: Claimed, { to, payload, intent, assignment, key }: Next) {
  const bytes = Buffer.byteLength(JSON.stringify(payload));
  if (bytes > payloadCap) {
    throw new Failure("payload_too_large", `the message to ${to} is ${bytes} bytes; ${payloadCap} is the most`);
  }
  const [service = "", role = ""] = to.split(".");
  return {
    service,
    role,
    shard: shardOf(message.tenant, shards),
    tenant: message.tenant,
    intent: intent ?? message.intent,
    traceId: message.traceId,
    parentId: message.id,
    idempotencyKey: key ?? message.idempotencyKey,
    assignment: assignment ?? message.assignment,
    payload,
  };
}
