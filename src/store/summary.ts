import type { Sql } from "./database.ts";

export type MessageCounts = {
  accepted: number;
  done: number;
  retried: number;
  dead: number;
  expired: number;
  cancelled: number;
};

/**
 * What became of messages in the last `windowS` seconds, counted in the event log. The kinds are found by hopping from
 * one to the next along the index (kind, at), so only the window is read, whatever the age of the log.
 */
export async function messageCounts(sql: Sql, windowS: number): Promise<MessageCounts> {
  const [counts] = await sql<MessageCounts[]>`
    with recursive kinds as (
      select min(kind) as kind from bus_events
      union all
      select (select min(kind) from bus_events where kind > kinds.kind) from kinds where kinds.kind is not null
    ),
    ends as (
      select substring(kind from '_([a-z]+)$') as what, kind
      from kinds
      where kind ~ '^[a-z]+_(accepted|done|retry|dead|expired|cancelled)$'
    ),
    counted as (
      select ends.what, events.count
      from ends
      cross join lateral (
        select count(*)
        from bus_events e
        where e.kind = ends.kind and e.at > clock_timestamp() - ${windowS} * interval '1 second'
      ) events
    )
    select coalesce(sum(count) filter (where what = 'accepted'), 0)::float8 as accepted,
           coalesce(sum(count) filter (where what = 'done'), 0)::float8 as done,
           coalesce(sum(count) filter (where what = 'retry'), 0)::float8 as retried,
           coalesce(sum(count) filter (where what = 'dead'), 0)::float8 as dead,
           coalesce(sum(count) filter (where what = 'expired'), 0)::float8 as expired,
           coalesce(sum(count) filter (where what = 'cancelled'), 0)::float8 as cancelled
    from counted`;
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
           (select count(*) from bus_ends where status = 'dead')::float8 as "deadLetters",
           coalesce(sum(a.files), 0)::float8 as files, coalesce(sum(a.bytes), 0)::float8 as bytes
    from tenants
    cross join lateral (
      select count(*) filter (where status = 'open') as open, count(*) filter (where status = 'done') as done,
             count(*) filter (where status = 'failed') as failed
      from bus_traces
      where tenant = tenants.id and opened_at > bus_now() - ${windowS} * interval '1 second'
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
    from bus_events
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
      select d.kind, d.trace_id, extract(epoch from d.at - a.at) * 1000 as ms
      from bus_events d
      left join lateral (
        select at from bus_events
        where trace_id = d.trace_id and message_id = d.message_id and kind = 'rag_accepted'
        limit 1
      ) a on true
      where d.kind in ('rag_done', 'rag_dead') and d.role = 'query'
        and d.at > clock_timestamp() - ${windowS} * interval '1 second'
    ),
    answers as (
      select t.answer
      from (select distinct trace_id from ended where kind = 'rag_done') asked
      join bus_traces t on t.trace_id = asked.trace_id
      where t.status = 'done' and t.answer ->> 'verdict' is null
    )
    select count(*) filter (where kind = 'rag_done')::float8 as done,
           count(*) filter (where kind = 'rag_dead')::float8 as dead,
           percentile_cont(0.5) within group (order by ms) filter (where kind = 'rag_done') as p50,
           percentile_cont(0.95) within group (order by ms) filter (where kind = 'rag_done') as p95,
           percentile_cont(0.99) within group (order by ms) filter (where kind = 'rag_done') as p99,
           (select count(*) from answers)::float8 as answers,
           (select count(*) from answers where jsonb_array_length(answer -> 'citations') = 0)::float8 as empty
    from ended`;
  if (!numbers) throw new Error("an aggregate answers one row");
  return numbers;
}

export type Backlog = {
  service: string;
  role: string;
  shard: number;
  queued: number;
  due: number;
  claimed: number;
  oldestDueS: number | null;
};

/** What waits and what is held, for each service, role and shard that has any. */
export async function backlogs(sql: Sql): Promise<Backlog[]> {
  return sql<Backlog[]>`
    with waiting as (
      select service, role, shard, count(*) as queued, count(*) filter (where due_at <= bus_now()) as due,
             extract(epoch from bus_now() - min(due_at) filter (where due_at <= bus_now())) as oldest
      from bus_queue
      group by service, role, shard
    ),
    held as (
      select service, role, shard, count(*) as claimed
      from bus_leases
      group by service, role, shard
    )
    select service, role, shard, coalesce(queued, 0)::float8 as queued, coalesce(due, 0)::float8 as due,
           coalesce(claimed, 0)::float8 as claimed, oldest::float8 as "oldestDueS"
    from waiting full join held using (service, role, shard)
    order by service, role, shard`;
}
