import type { Decision } from "../contracts/decision.ts";
import type { Intent } from "../contracts/message.ts";
import { jsonText, part, type Sql } from "./database.ts";

/** A decision as it is kept: what it was, and how the work of the chosen agent ended. */
export type DecisionRow = {
  id: string; // of the message of orchestrator.decide
  trace_id: string;
  root_id: string; // the message that opened the trace
  tenant: string;
  intent: Intent;
  service_role: string;
  agent_id: string;
  agent_version: string;
  canary: boolean;
  explored: boolean;
  propensity: number;
  weights_hash: string;
  fallback_of: string | null;
  shadow_of: string | null;
  record: Decision;
  at: Date;
  ended_at: Date | null;
  outcome: "good" | "bad" | "void" | null;
  code: string | null;
  latency_ms: number | null;
  tokens: number | null;
  cost_usd: number | null;
};

/** A decision about to be kept. */
export type DecisionDraft = Pick<
  DecisionRow,
  | "id"
  | "trace_id"
  | "root_id"
  | "tenant"
  | "intent"
  | "service_role"
  | "agent_id"
  | "agent_version"
  | "canary"
  | "explored"
  | "propensity"
  | "weights_hash"
  | "fallback_of"
  | "shadow_of"
  | "record"
>;

/**
 * Keeps a decision before its message is settled, and answers what is kept: of a message that is tried again that is
 * its first decision, so the same message is never sent to two agents.
 */
export async function keepDecision(sql: Sql, draft: DecisionDraft): Promise<Decision> {
  const rows = await sql<{ record: Decision }[]>`
    with fresh as (
      insert into registry_decisions (id, trace_id, root_id, tenant, intent, service_role, agent_id, agent_version, canary,
                                      explored, propensity, weights_hash, fallback_of, shadow_of, record)
      values (${draft.id}, ${draft.trace_id}, ${draft.root_id}, ${draft.tenant}, ${draft.intent}, ${draft.service_role},
              ${draft.agent_id}, ${draft.agent_version}, ${draft.canary}, ${draft.explored}, ${draft.propensity},
              ${draft.weights_hash}, ${draft.fallback_of}, ${draft.shadow_of}, ${jsonText(draft.record)}::text::jsonb)
      on conflict (id) do nothing
      returning record
    )
    select record from fresh
    union all
    select record from registry_decisions where id = ${draft.id}`;
  const [kept] = rows;
  if (!kept) return keepDecision(sql, draft); // another attempt's row was not visible yet
  return kept.record;
}

/** What a message decided when it was tried before; null: it has not. */
export async function decisionBefore(sql: Sql, id: string): Promise<Decision | null> {
  const [row] = await sql<{ record: Decision }[]>`select record from registry_decisions where id = ${id}`;
  return row?.record ?? null;
}

const columns = part`
  id, trace_id, root_id, tenant, intent, service_role, agent_id, agent_version, canary, explored, propensity, weights_hash,
  fallback_of, shadow_of, record, at, ended_at, outcome, code, latency_ms, tokens::float8 as tokens, cost_usd`;

/** One decision; null when there is none, or when it is another tenant's. */
export async function decisionOf(sql: Sql, id: string, tenant: string): Promise<DecisionRow | null> {
  const [row] = await sql<DecisionRow[]>`
    select ${columns}
    from registry_decisions
    where id = ${id} and tenant = ${tenant}`;
  return row ?? null;
}

/** The decisions of a trace of the tenant, in order. */
export async function decisionsIn(
  sql: Sql,
  { traceId, tenant }: { traceId: string; tenant: string },
): Promise<DecisionRow[]> {
  return sql<DecisionRow[]>`
    select ${columns}
    from registry_decisions
    where trace_id = ${traceId} and tenant = ${tenant}
    order by id`;
}

/** The latest decisions of the tenant, latest first. */
export async function latestDecisions(
  sql: Sql,
  { tenant, limit }: { tenant: string; limit: number },
): Promise<DecisionRow[]> {
  return sql<DecisionRow[]>`
    select ${columns}
    from registry_decisions
    where tenant = ${tenant}
    order by id desc
    limit ${limit}`;
}

/** Which decisions of the record are wanted. Null: any. */
export type Wanted = {
  windowS: number;
  tenant: string | null;
  intent: string | null;
  before: Pick<DecisionRow, "at" | "id"> | null; // the last one that was seen; null: from the latest
  limit: number;
};

/** Up to `limit` decisions of the last `windowS` seconds, latest first. Copies for shadows are left out. */
export async function recordedDecisions(
  sql: Sql,
  { windowS, tenant, intent, before, limit }: Wanted,
): Promise<DecisionRow[]> {
  return sql<DecisionRow[]>`
    select ${columns}
    from registry_decisions
    where at > bus_now() - ${windowS} * interval '1 second' and shadow_of is null
      and (at, id) < (coalesce(${before?.at ?? null}::timestamptz, 'infinity'), coalesce(${before?.id ?? null}::bigint, 0))
      and (${tenant}::text is null or tenant = ${tenant}) and (${intent}::text is null or intent = ${intent})
    order by at desc, id desc
    limit ${limit}`;
}
