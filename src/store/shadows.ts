import type { Answer } from "../contracts/message.ts";
import type { Comparison } from "../contracts/orchestrator.ts";
import { jsonText, type Sql } from "./database.ts";

/** One side of a comparison, as its decision and its trace have it. */
type Row = {
  outcome: "good" | "bad" | "void";
  answer: Answer | null;
  code: string | null;
  latency_ms: number;
  cost_usd: number | null;
};

/** Work that has ended for the caller and for the shadow's copy, and was not compared yet. */
export type Pair = {
  id: string; // of the shadow's decision
  decision_id: string; // of the caller's
  tenant: string;
  agent_id: string; // the shadow
  agent_version: string;
  trace_id: string; // of the caller
  shadow_trace_id: string;
  returned: Row;
  kept: Row;
};

/** Up to `limit` pairs, locked until the transaction ends. */
export async function pairsToCompare(tx: Sql, limit: number): Promise<Pair[]> {
  return tx<Pair[]>`
    select s.id, p.id as decision_id, s.tenant, s.agent_id, s.agent_version, p.trace_id, s.trace_id as shadow_trace_id,
           jsonb_build_object('outcome', p.outcome, 'answer', pt.answer, 'code', p.code, 'latency_ms', p.latency_ms,
                              'cost_usd', p.cost_usd) as returned,
           jsonb_build_object('outcome', s.outcome, 'answer', st.answer, 'code', s.code, 'latency_ms', s.latency_ms,
                              'cost_usd', s.cost_usd) as kept
    from registry_decisions s
    join registry_decisions p on p.id = s.shadow_of
    left join bus_traces pt on pt.trace_id = p.trace_id
    left join bus_traces st on st.trace_id = s.trace_id
    where s.shadow_of is not null and s.compared is null and s.ended_at is not null and p.ended_at is not null
    order by s.id
    limit ${limit}
    for update of s skip locked`;
}

/** Keeps what came of a comparison. */
export async function keepComparison(tx: Sql, id: string, comparison: Comparison): Promise<void> {
  await tx`
    update registry_decisions
    set compared = ${jsonText(comparison)}::text::jsonb
    where id = ${id}`;
}
