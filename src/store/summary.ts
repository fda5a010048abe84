import type { ErrorReason } from "../contracts/violation.ts";
import type { Sql } from "./database.ts";

export type MessageCounts = {
  accepted: number;
  done: number;
  retried: number;
  dead: number;
  expired: number;
  cancelled: number;
};

/** What became of messages in the last `windowS` seconds, counted in spans of ten: the first span may be cut. */
export async function messageCounts(sql: Sql, windowS: number): Promise<MessageCounts> {
  const [counts] = await sql<MessageCounts[]>`
    with each as (
      select accepted, done, retried, dead, expired, cancelled
      from bus_tallies where at > bus_now() - ${windowS} * interval '1 second'
      union all
      select accepted, done, retried, dead, expired, cancelled
      from bus_deltas where at > bus_now() - ${windowS} * interval '1 second'
    )
    select coalesce(sum(accepted), 0)::float8 as accepted, coalesce(sum(done), 0)::float8 as done,
           coalesce(sum(retried), 0)::float8 as retried, coalesce(sum(dead), 0)::float8 as dead,
           coalesce(sum(expired), 0)::float8 as expired, coalesce(sum(cancelled), 0)::float8 as cancelled
    from each`;
  if (!counts) throw new Error("an aggregate answers one row");
  return counts;
}

export type KeptCounts = {
  open: number;
  done: number;
  failed: number;
  deadLetters: number;
  files: number;
  bytes: number;
};

/** Traces opened and files kept in the last `windowS` seconds, tenant by tenant along their indexes; dead letters of any age. */
export async function keptCounts(sql: Sql, windowS: number): Promise<KeptCounts> {
  const [counts] = await sql<KeptCounts[]>`
    select coalesce(sum(t.open), 0)::float8 as open, coalesce(sum(t.done), 0)::float8 as done,
           coalesce(sum(t.failed), 0)::float8 as failed,
           (select count(*) from bus_dead where replayed_at is null)::float8 as "deadLetters",
           coalesce(sum(a.files), 0)::float8 as files, coalesce(sum(a.bytes), 0)::float8 as bytes
    from tenants
    cross join lateral (
      select count(*) filter (where status = 'open') as open, count(*) filter (where status = 'done') as done,
             count(*) filter (where status = 'failed') as failed
      from bus_roots r
      cross join lateral unnest(r.ids) id
      join bus_traces on root_id = id
      where r.tenant = tenants.id and r.at > bus_now() - ${windowS} * interval '1 second'
        and opened_at > bus_now() - ${windowS} * interval '1 second'
    ) t
    cross join lateral (
      select count(*) as files, sum(bytes) as bytes
      from artifacts
      where tenant = tenants.id and created_at > bus_now() - ${windowS} * interval '1 second'
    ) a`;
  if (!counts) throw new Error("an aggregate answers one row");
  return counts;
}

export type Chosen = { agent_id: string; agent_version: string; decisions: number; canary: number };

/** How often each agent was chosen in the last `windowS` seconds, most chosen first. */
export async function chosenAgents(sql: Sql, windowS: number): Promise<Chosen[]> {
  return sql<Chosen[]>`
    select details #>> '{chosen,agent_id}' as agent_id, details #>> '{chosen,agent_version}' as agent_version,
           count(*)::float8 as decisions,
           count(*) filter (where (details #>> '{chosen,canary}')::boolean)::float8 as canary
    from bus_facts
    where kind = 'orchestrate_decision' and at > clock_timestamp() - ${windowS} * interval '1 second'
      and details ? 'chosen'
    group by 1, 2
    order by 3 desc, 1, 2`;
}

export type RagNumbers = {
  done: number;
  dead: number;
  p50: number | null;
  p95: number | null;
  p99: number | null;
  answers: number;
  empty: number;
};

/** How the queries of the last `windowS` seconds ended, how long they took from stored to done, and how many answers cite nothing. */
export async function ragNumbers(sql: Sql, windowS: number): Promise<RagNumbers> {
  const [numbers] = await sql<RagNumbers[]>`
    with ended as (
      select a.status, m.trace_id, extract(epoch from a.ended_at - m.created_at) * 1000 as ms
      from (
        select message_id, status, ended_at from bus_attempts where status in ('done', 'dead')
        union all
        select p.base + place, 'done', p.ended_at from bus_packs p cross join unnest(p.places) place
      ) a
      join bus_messages m on m.id = a.message_id
      where m.lane in (select id from bus_lanes where service = 'rag' and role = 'query')
        and a.ended_at > clock_timestamp() - ${windowS} * interval '1 second'
    ),
    answers as (
      select t.answer
      from (select distinct trace_id from ended where status = 'done') asked
      join bus_traces t on t.trace_id = asked.trace_id
      where t.status = 'done' and t.answer ->> 'verdict' is null
    )
    select count(*) filter (where status = 'done')::float8 as done,
           count(*) filter (where status = 'dead')::float8 as dead,
           percentile_cont(0.5) within group (order by ms) filter (where status = 'done') as p50,
           percentile_cont(0.95) within group (order by ms) filter (where status = 'done') as p95,
           percentile_cont(0.99) within group (order by ms) filter (where status = 'done') as p99,
           (select count(*) from answers)::float8 as answers,
           (select count(*) from answers where jsonb_array_length(answer -> 'citations') = 0)::float8 as empty
    from ended`;
  if (!numbers) throw new Error("an aggregate answers one row");
  return numbers;
}

export type SandboxErrors = { tenant: string; reason: ErrorReason; count: number };

/** How often runs of each tenant were ended or could not be carried out in the last `windowS` seconds, by reason. */
export async function sandboxErrors(sql: Sql, windowS: number): Promise<SandboxErrors[]> {
  return sql<SandboxErrors[]>`
    select tenant, details ->> 'reason' as reason, count(*)::float8 as count
    from bus_facts
    where kind = 'sandbox_error' and at > clock_timestamp() - ${windowS} * interval '1 second'
    group by tenant, details ->> 'reason'
    order by 3 desc, 1, 2`;
}
