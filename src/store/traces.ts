import { Failure, type FailureRecord } from "../contracts/failure.ts";
import type { Answer, Intent } from "../contracts/message.ts";
import { jsonText, type Sql } from "./database.ts";

/** All that one request caused, as it stands. `answer` when it ended well, `failure` when it did not. */
export type Trace = {
  trace_id: string;
  tenant: string;
  intent: Intent;
  idempotency_key: string;
  traceparent: string | null;
  status: "open" | "done" | "failed";
  answer: Answer | null;
  failure: FailureRecord | null;
  opened_at: Date;
  ended_at: Date | null;
};

export type Opening = {
  traceId: string;
  tenant: string;
  intent: Intent;
  idempotencyKey: string;
  requestHash: string; // of the whole request: the same key with another body is refused
  traceparent: string | null;
};

/**
 * Opens a trace, or finds the one this key opened before. `requestHash` is that of the first request.
 * Throws `conflict` when the trace id is taken by another request: the caller takes a new one.
 */
export async function openTrace(
  tx: Sql,
  { traceId, tenant, intent, idempotencyKey, requestHash, traceparent }: Opening,
): Promise<{ traceId: string; requestHash: string; fresh: boolean }> {
  const fresh = await tx`
    insert into bus_traces (trace_id, tenant, intent, idempotency_key, request_hash, traceparent)
    values (${traceId}, ${tenant}, ${intent}, ${idempotencyKey}, ${requestHash}, ${traceparent})
    on conflict do nothing
    returning 1`;
  if (fresh.length === 1) return { traceId, requestHash, fresh: true };
  const [known] = await tx<{ traceId: string; requestHash: string }[]>`
    select trace_id as "traceId", request_hash as "requestHash" from bus_traces
    where tenant = ${tenant} and idempotency_key = ${idempotencyKey}`;
  if (!known) throw new Failure("conflict", `the trace id ${traceId} belongs to another request`);
  return { ...known, fresh: false };
}

/** Ends an open trace with its answer or its failure. A trace that has ended keeps its first end. */
export async function endTrace(
  tx: Sql,
  traceId: string,
  ending: { answer: Answer } | { failure: FailureRecord },
): Promise<void> {
  const answer = "answer" in ending ? jsonText(ending.answer) : null;
  const failure = "failure" in ending ? jsonText(ending.failure) : null;
  await tx`
    update bus_traces
    set status = ${answer === null ? "failed" : "done"}, answer = ${answer}::text::jsonb,
        failure = ${failure}::text::jsonb, ended_at = bus_now()
    where trace_id = ${traceId} and status = 'open'`;
}

/** One trace; null when there is none, or when it belongs to another tenant (`tenant` null: any). */
export async function traceOf(sql: Sql, traceId: string, tenant: string | null): Promise<Trace | null> {
  const [trace] = await sql<Trace[]>`
    select trace_id, tenant, intent, idempotency_key, traceparent, status, answer, failure, opened_at, ended_at
    from bus_traces
    where trace_id = ${traceId} and (${tenant}::text is null or tenant = ${tenant})`;
  return trace ?? null;
}

/** The latest traces of a tenant, in any status (`status` null) or one. */
export async function latestTraces(
  sql: Sql,
  { tenant, status, limit }: { tenant: string; status: Trace["status"] | null; limit: number },
): Promise<Trace[]> {
  return sql<Trace[]>`
    select trace_id, tenant, intent, idempotency_key, traceparent, status, answer, failure, opened_at, ended_at
    from bus_traces
    where tenant = ${tenant} and (${status}::text is null or status = ${status})
    order by opened_at desc, trace_id
    limit ${limit}`;
}

/** A message of a trace without its payload, and where it stands. */
export type Envelope = {
  id: string;
  parent_id: string | null;
  service: string;
  role: string;
  shard: number;
  intent: Intent;
  status: "queued" | "claimed" | "done" | "dead" | "expired" | "cancelled";
  attempts: number;
  agent_id: string | null;
  created_at: Date;
  ended_at: Date | null;
};

/** The messages of a trace, in the order they were published. */
export async function envelopesOf(sql: Sql, traceId: string): Promise<Envelope[]> {
  return sql<Envelope[]>`
    select m.id, m.parent_id, m.service, m.role, m.shard, m.intent,
           coalesce(e.status, case when l.message_id is null then 'queued' else 'claimed' end) as status,
           coalesce(e.attempts, l.attempts, q.attempts) as attempts,
           m.assignment ->> 'agent_id' as agent_id, m.created_at, e.ended_at
    from bus_messages m
    left join bus_ends e on e.message_id = m.id
    left join bus_leases l on l.message_id = m.id
    left join bus_queue q on q.message_id = m.id
    where m.trace_id = ${traceId}
    order by m.id`;
}
