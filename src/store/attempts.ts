import type { FailureRecord } from "../contracts/failure.ts";
import { jsonText, type Sql } from "./database.ts";
import type { Claimed, Flow } from "./messages.ts";
import { endedTwice } from "./step.ts";

/** An attempt that did not end well, or a message that ended while it waited. */
export type Ending = {
  message: Pick<Claimed, "id" | "lane" | "priority" | "tenant" | "attempts" | "orderKey"> & { token: string | null };
  was: "held" | "ready" | "delayed" | "lined"; // where it was; only `held` was an attempt
  status: "retry" | "dead" | "expired" | "cancelled";
  worker: string | null;
  claimedAt: string | null;
  delayMs: number; // of a retry
  blamed: boolean; // counts for the circuit of its lane: a caller did not cause it
  failure: FailureRecord | null; // null: a retry without one, because the worker stopped
  why: string | null;
};

/**
 * Writes how attempts ended that did not end well, in the transaction that holds their leases: tried again (due after
 * `delayMs`), dead (with a copy of the message as a dead letter), expired or cancelled.
 */
export async function endBadly(tx: Sql, endings: Ending[]): Promise<void> {
  const rows = endings.map(({ message, was, ...rest }) => ({
    ...rest,
    was,
    id: message.id,
    lane: message.lane,
    priority: message.priority,
    tenant: message.tenant,
    attempts: was === "held" ? message.attempts : message.attempts + 1,
    token: message.token,
  }));
  await tx`
    with e as materialized (
      select * from jsonb_to_recordset(${jsonText(rows)}::text::jsonb) as e(
        id bigint, lane integer, priority smallint, tenant text, attempts smallint, token bigint, was text, status text,
        worker text, "claimedAt" timestamptz, "delayMs" integer, blamed boolean, failure jsonb, why text)
    ),
    ended as (
      insert into bus_attempts (message_id, attempts, failed_id, lane, status, token, worker, claimed_at, delay_ms, failure,
                                why)
      select id, attempts, case status when 'dead' then nextval('bus_ids') end, lane, status, token, worker, "claimedAt", case status when 'retry' then "delayMs" end,
             nullif(failure, 'null'), why
      from e
    ),
    again as (
      insert into bus_ready (lane, priority, tenant, message_ids, attempts)
      select lane, priority, tenant, array[id], attempts from e where status = 'retry' and "delayMs" <= 0
    ),
    later as (
      insert into bus_delayed (due_at, lane, priority, tenant, message_id, attempts)
      select bus_now() + "delayMs" * interval '1 millisecond', lane, priority, tenant, id, attempts
      from e where status = 'retry' and "delayMs" > 0
    ),
    buried as (
      insert into bus_dead (message_id, tenant, service, role, shard, trace_id, failure, body)
      select m.id, m.tenant, m.service, m.role, m.shard, m.trace_id, e.failure, to_jsonb(m)
      from e join bus_messages m using (id)
      where e.status = 'dead'
    )
    insert into bus_deltas (lane, held, ready, delayed, retried, dead, expired, cancelled, failed)
    select lane, -count(*) filter (where was = 'held'),
           count(*) filter (where status = 'retry' and "delayMs" <= 0) - count(*) filter (where was = 'ready'),
           count(*) filter (where status = 'retry' and "delayMs" > 0) - count(*) filter (where was = 'delayed'),
           count(*) filter (where status = 'retry'), count(*) filter (where status = 'dead'),
           count(*) filter (where status = 'expired'), count(*) filter (where status = 'cancelled'),
           count(*) filter (where blamed)
    from e group by lane`.catch(endedTwice);
}

/** Takes a message of an ordered role out of its line. The next one of its key is due, now or at its time; answers where. */
export async function lineNext(
  tx: Sql,
  { id, service, role, orderKey }: Pick<Claimed, "id" | "service" | "role" | "orderKey">,
): Promise<Flow[]> {
  if (orderKey === null) return [];
  return tx<Flow[]>`
    with next as materialized (
      select *, coalesce(due_at > bus_now(), false) as later
      from bus_line_next(${id}, ${service}, ${role}, ${orderKey})
    ),
    readied as (
      insert into bus_ready (lane, priority, tenant, message_ids, attempts)
      select lane, priority, tenant, array[message_id], 0 from next where not later
    ),
    put_off as (
      insert into bus_delayed (due_at, lane, priority, tenant, message_id, attempts)
      select due_at, lane, priority, tenant, message_id, 0 from next where later
    ),
    moved as (insert into bus_deltas (lane, ready, delayed) select lane, (not later)::int, later::int from next)
    select lane, priority, tenant from next where not later`;
}

export type Waiting = Claimed & { was: "ready" | "delayed" | "lined" };

/** Takes messages out of the queue, wherever they wait, so that they can be ended. Those that are held stay. */
export async function takeOut(tx: Sql, ids: string[]): Promise<Waiting[]> {
  return tx<Waiting[]>`
    with wanted as materialized (
      select m.* from bus_messages m
      where m.id = any (${ids}::bigint[])
        and (select count(*) from bus_ends e where e.message_id = m.id) = 0
    ),
    out as (
      delete from bus_ready b
      where b.ctid = any (array(
        select r.ctid from wanted w
        join bus_ready r on r.lane = w.lane and r.priority = w.priority and r.tenant = w.tenant and w.id = any (r.message_ids)))
      returning b.*
    ),
    from_ready as materialized (
      select id as message_id, out.attempts from out cross join unnest(out.message_ids) id
      where id in (select id from wanted)
    ),
    put_back as (
      insert into bus_ready (lane, priority, tenant, seq, message_ids, attempts)
      select lane, priority, tenant, seq, stay.ids, attempts
      from out
      cross join lateral (
        select array_agg(id order by place) as ids from unnest(out.message_ids) with ordinality as each (id, place)
        where id not in (select id from wanted)
      ) stay
      where stay.ids is not null
    ),
    from_delayed as (
      delete from bus_delayed d using wanted w where d.lane = w.lane and d.message_id = w.id
      returning d.message_id, d.attempts
    )
    select m.id, m.lane, m.service, m.role, m.shard, m.tenant, m.intent, m.trace_id as "traceId",
           m.root_id as "rootId", m.parent_id as "parentId", m.join_id as "joinId",
           m.idempotency_key as "idempotencyKey", m.priority, m.order_key as "orderKey", m.expires_at as "expiresAt",
           m.traceparent, m.assignment, m.payload, m.created_at as "createdAt",
           place.attempts, place.was, null::bigint as token, null as worker
    from wanted m
    cross join lateral (
      select attempts, 'ready' as was from from_ready where message_id = m.id
      union all
      select attempts, 'delayed' from from_delayed where message_id = m.id
      union all
      select 0::smallint, 'lined' from bus_lines l
      where (l.service, l.role, l.order_key, l.message_id) = (m.service, m.role, m.order_key, m.id)
        and exists (select from bus_lines f where (f.service, f.role, f.order_key) = (m.service, m.role, m.order_key)
                      and f.place < l.place)
    ) place`;
}
