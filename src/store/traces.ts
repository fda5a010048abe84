import type { FailureRecord } from "../contracts/failure.ts";
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
  root_id: string;
};

/** Ends an open trace with its answer or its failure. A trace that has ended keeps its first end. */
export async function endTrace(
  tx: Sql,
  rootId: string,
  ending: { answer: Answer } | { failure: FailureRecord },
): Promise<void> {
  const answer = "answer" in ending ? jsonText(ending.answer) : null;
  const failure = "failure" in ending ? jsonText(ending.failure) : null;
  await tx`
    insert into bus_trace_ends (root_id, status, answer, failure)
    values (${rootId}, ${answer === null ? "failed" : "done"}, ${answer}::text::jsonb, ${failure}::text::jsonb)
    on conflict do nothing`;
}

/** The message that opened the trace of this one. */
export async function rootOf(sql: Sql, messageId: string): Promise<string> {
  const [row] = await sql<{ id: string }[]>`select root_id as id from bus_messages where id = ${messageId}`;
  return row?.id ?? messageId;
}

/** One trace; null when there is none, or when it belongs to another tenant (`tenant` null: any). */
export async function traceOf(sql: Sql, traceId: string, tenant: string | null): Promise<Trace | null> {
  const [trace] = await sql<Trace[]>`
    select trace_id, tenant, intent, idempotency_key, traceparent, status, answer, failure, opened_at, ended_at, root_id
    from bus_traces
    where trace_id = ${traceId} and (${tenant}::text is null or tenant = ${tenant})`;
  return trace ?? null;
}

export type TracesWish = {
  tenant: string;
  status: Trace["status"] | "waiting" | null; // null: any; waiting: open, for a person or a callback
  intent: Intent | null; // null: any
  before: string | null; // a root id: those opened earlier
  limit: number;
};

/** The latest traces of a tenant. Their ids are read block by block, latest first, until enough of them are wanted. */
export async function latestTraces(sql: Sql, { tenant, status, intent, before, limit }: TracesWish): Promise<Trace[]> {
  const wanted = status === "waiting" ? "open" : status;
  const end = before ?? String(2n ** 63n - 1n);
  return sql<Trace[]>`
    select trace_id, tenant, intent, idempotency_key, traceparent, status, answer, failure, opened_at, ended_at, root_id
    from (
      select r.block, id
      from bus_roots r cross join lateral unnest(r.ids) id
      where r.tenant = ${tenant} and r.block <= ${end}::bigint >> 10 and id < ${end}::bigint
      order by r.block desc, id desc
    ) root
    join bus_traces on root_id = root.id
    where tenant = ${tenant} and (${wanted}::text is null or status = ${wanted})
      and (${intent}::text is null or intent = ${intent})
      and (${status !== "waiting"} or exists (select from bus_waits w
                                              where w.trace_id = bus_traces.trace_id and w.answered_at is null))
    order by root.block desc, root.id desc
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
           coalesce(nullif(a.status, 'retry'), case when h.message_id is null then 'queued' else 'claimed' end) as status,
           coalesce(h.attempts, a.attempts - (a.claimed_at is null)::int, 0)::smallint as attempts,
           m.assignment ->> 'agent_id' as agent_id, m.created_at,
           case when a.status <> 'retry' then a.ended_at end as ended_at
    from bus_messages m
    left join lateral (
      select each.* from (
        select status, attempts, claimed_at, ended_at from bus_attempts where message_id = m.id
        union all
        select 'done', attempts, claimed_at, ended_at from bus_packed where message_id = m.id
      ) each
      order by each.attempts desc
      limit 1
    ) a on true
    left join lateral (
      select m.id as message_id, l.attempts[array_position(l.message_ids, m.id)] as attempts
      from bus_leases l
      where m.id = any (l.message_ids) and l.attempts[array_position(l.message_ids, m.id)] > coalesce(a.attempts, 0)
    ) h on true
    where m.trace_id = ${traceId}
    order by m.id`;
}
