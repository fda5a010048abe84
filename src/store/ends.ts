import type { AgentStats } from "../contracts/agent.ts";
import type { FailureRecord } from "../contracts/failure.ts";
import type { Answer, Intent } from "../contracts/message.ts";
import { jsonText, type Sql } from "./database.ts";

/** A decision whose work has ended and was not counted yet. */
export type Ended = {
  id: string;
  trace_id: string;
  tenant: string;
  intent: Intent;
  service_role: string;
  agent_id: string;
  agent_version: string;
  canary: boolean;
  fallback_of: string | null;
  shadow_of: string | null;
  at: Date; // of the decision
  ended_at: Date;
  answer: Answer | null;
  failure: Pick<FailureRecord, "code"> | null;
  tokens: number | null; // that a model used; null: nobody said
  cost_usd: number | null; // null: nobody said
  waited_ms: number; // of the time in between, for a person's approval
};

/** Takes the sweep's turn until the transaction ends. False: another worker has it. */
export async function aloneInSweep(tx: Sql): Promise<boolean> {
  const [row] = await tx<{ mine: boolean }[]>`
    select pg_try_advisory_xact_lock(hashtextextended('dagent.ends', 0)) as mine`;
  return row?.mine === true;
}

/**
 * Up to `limit` decisions whose work has ended, locked until the transaction ends: the trace has, or another agent was
 * asked after this one failed. Somebody else's locked ones are passed over.
 *
 * Looked at are the oldest open ones, which mostly end first, and every second another sixteenth of all, so that those
 * that wait for a person hide nobody for long and a look costs the same whatever waits.
 */
export async function endedDecisions(tx: Sql, limit: number): Promise<Ended[]> {
  return tx<Ended[]>`
    with looked as (
      (select id from registry_decisions where ended_at is null order by id limit ${limit})
      union
      (select id from registry_decisions
       where ended_at is null and id % 16 = extract(epoch from bus_now())::bigint % 16
       order by id desc
       limit 4 * ${limit})
    )
    select d.id, d.trace_id, d.tenant, d.intent, d.service_role, d.agent_id, d.agent_version, d.canary,
           d.fallback_of, d.shadow_of, d.at,
           coalesce(f.at, t.ended_at) as ended_at,
           case when f.id is null then t.answer end as answer,
           case when f.id is null then t.failure else f.record -> 'fallback' -> 'failure' end as failure,
           spent.tokens, spent.cost_usd, asked.waited_ms
    from looked
    join registry_decisions d on d.id = looked.id
    left join registry_decisions f on f.fallback_of = d.id
    left join bus_traces t on t.root_id = d.root_id and t.trace_id = d.trace_id
    cross join lateral (
      select sum(case when jsonb_typeof(e.result #> '{tokens,input}') = 'number'
                       and jsonb_typeof(e.result #> '{tokens,output}') = 'number'
                   then (e.result #>> '{tokens,input}')::float8 + (e.result #>> '{tokens,output}')::float8 end) as tokens,
             sum(case when jsonb_typeof(e.result -> 'cost_usd') = 'number'
                   then (e.result ->> 'cost_usd')::float8 end) as cost_usd
      from bus_messages m
      cross join lateral (select result from bus_ends where message_id = m.id offset 0) e -- offset: never all ends at once
      where m.trace_id = d.trace_id and m.assignment ->> 'agent_id' = d.agent_id and m.assignment ->> 'agent_version' = d.agent_version
    ) spent
    cross join lateral (
      select coalesce(sum(extract(epoch from w.answered_at - w.opened_at) * 1000), 0)::float8 as waited_ms
      from bus_waits w
      where w.trace_id = d.trace_id and w.kind = 'approval' and w.message_id >= d.id and w.answered_at is not null
        and (f.id is null or w.message_id < f.id)
    ) asked
    where d.ended_at is null and (t.ended_at is not null or f.id is not null)
    order by d.id
    limit ${limit}
    for update of d skip locked`;
}

/** How a decision's work ended. */
export type Count = {
  id: string;
  ended_at: Date;
  outcome: "good" | "bad" | "void";
  code: string | null;
  latency_ms: number;
  tokens: number | null;
  cost_usd: number | null;
};

/** Writes how the work of decisions ended. */
export async function countDecisions(tx: Sql, counts: Count[]): Promise<void> {
  await tx`
    update registry_decisions d
    set ended_at = c.ended_at, outcome = c.outcome, code = c.code, latency_ms = c.latency_ms, tokens = c.tokens,
        cost_usd = c.cost_usd
    from jsonb_to_recordset(${jsonText(counts)}::text::jsonb) as c(
      id bigint, ended_at timestamptz, outcome text, code text, latency_ms float8, tokens bigint, cost_usd float8)
    where d.id = c.id`;
}

/** What is known of some agents, with whose and for which intent; locked until the transaction ends. */
export type Known = AgentStats & { agent_id: string; agent_version: string };

/** The records of everybody's work for these intents. */
export async function recordsOf(tx: Sql, intents: Intent[]): Promise<Known[]> {
  return tx<Known[]>`
    select agent_id, agent_version, intent, good, bad, latency_ms,
           to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at, turn
    from registry_stats
    where intent = any (${intents})
    order by agent_id, agent_version, intent
    for update`;
}

/** Writes the records of agents that are still registered. */
export async function keepRecords(tx: Sql, records: Known[]): Promise<void> {
  await tx`
    insert into registry_stats (agent_id, agent_version, intent, good, bad, latency_ms, at, turn)
    select r.agent_id, r.agent_version, r.intent, r.good, r.bad, r.latency_ms, r.at, r.turn
    from jsonb_to_recordset(${jsonText(records)}::text::jsonb) as r(
      agent_id text, agent_version text, intent text, good float8, bad float8, latency_ms float8, at timestamptz,
      turn float8)
    where exists (select from registry_agents a where a.id = r.agent_id and a.version = r.agent_version)
    order by 1, 2, 3
    on conflict (agent_id, agent_version, intent) do update
    set good = excluded.good, bad = excluded.bad, latency_ms = excluded.latency_ms, at = excluded.at,
        turn = excluded.turn`;
}

/** Forgets up to `limit` decisions older than `keepMs`. Answers how many there were. */
export async function forgetDecisions(sql: Sql, { keepMs, limit }: { keepMs: number; limit: number }): Promise<number> {
  const rows = await sql`
    delete from registry_decisions
    where id in (
      select id from registry_decisions
      where at < bus_now() - ${keepMs} * interval '1 millisecond'
      order by at
      limit ${limit}
      for update skip locked)
    returning 1`;
  return rows.length;
}
