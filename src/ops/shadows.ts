import type { Comparison } from "../contracts/orchestrator.ts";
import { compare, type Side } from "../rules/shadow.ts";
import type { Database } from "../store/database.ts";
import { tellAlone } from "../store/events.ts";
import { keepComparison, pairsToCompare } from "../store/shadows.ts";

/** Compares what shadows answered with what callers were, where both have ended. Answers the comparisons it made. */
export async function compareShadows(sql: Database, limit = 100): Promise<Comparison[]> {
  return sql.begin(async (tx) => {
    const pairs = await pairsToCompare(tx, limit);
    const made: Comparison[] = [];
    for (const { id, tenant, trace_id, agent_id, agent_version, ...pair } of pairs) {
      const { decision_id, shadow_trace_id, returned, kept } = pair;
      const comparison = {
        decision_id,
        shadow: { agent_id, agent_version },
        shadow_trace_id,
        ...compare(returned, kept),
      };
      await keepComparison(tx, id, comparison);
      const details = { ...comparison, returned: withoutText(returned), kept: withoutText(kept) };
      await tellAlone(tx, { kind: "shadow_compared", tenant, traceId: trace_id, details });
      made.push(comparison);
    }
    return made;
  });
}

/** What a caller may read in his own trace: what a shadow says is nobody's answer. */
function withoutText({ outcome, code, latency_ms, cost_usd }: Side): Omit<Side, "answer"> {
  return { outcome, code, latency_ms, cost_usd };
}
