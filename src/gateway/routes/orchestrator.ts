import { z } from "zod";
import { Failure } from "../../contracts/failure.ts";
import {
  DecisionList,
  DecisionsQuery,
  DecisionView,
  OrchestratorQuery,
  OrchestratorSummary,
} from "../../contracts/orchestrator.ts";
import { summariseDecisions } from "../../ops/decisions.ts";
import { type DecisionRow, decisionOf, decisionsIn, latestDecisions } from "../../store/decisions.ts";
import { problems, type Routes } from "../route.ts";

/** `/api/orchestrator/*` and its summary: what was decided, why, how it ended, and what would be decided. */
export const orchestratorRoutes: Routes = (app, { sql, now }) => {
  app.route({
    method: "GET",
    url: "/api/metrics/orchestrator/summary",
    schema: {
      operationId: "orchestratorSummary",
      summary: "Decisions by intent, tenant and agent, canaries against their stables",
      querystring: OrchestratorQuery,
      response: { 200: OrchestratorSummary, ...problems },
    },
    handler: ({ query: { window_s, tenant = null } }): Promise<OrchestratorSummary> =>
      summariseDecisions(sql, { now: now(), windowS: window_s, tenant }),
  });

  app.route({
    method: "GET",
    url: "/api/orchestrator/decisions",
    schema: {
      operationId: "decisions",
      summary: "The decisions of a trace in order, or the latest",
      querystring: DecisionsQuery,
      response: { 200: DecisionList, ...problems },
    },
    async handler({ query: { trace_id, limit }, identity: { tenant } }): Promise<DecisionList> {
      const rows = trace_id
        ? await decisionsIn(sql, { traceId: trace_id, tenant })
        : await latestDecisions(sql, { tenant, limit });
      return { decisions: rows.map(viewOf) };
    },
  });

  app.route({
    method: "GET",
    url: "/api/orchestrator/decisions/:id",
    schema: {
      operationId: "decision",
      summary: "A decision: who was considered, what each scored and why, and how it ended",
      params: z.object({ id: z.string().regex(/^\d{1,18}$/, "is the id of a decision: digits") }),
      response: { 200: DecisionView, ...problems },
    },
    async handler({ params: { id }, identity: { tenant } }): Promise<DecisionView> {
      const row = await decisionOf(sql, id, tenant);
      if (!row) throw new Failure("not_found", `there is no decision ${id}`);
      return viewOf(row);
    },
  });
};

function viewOf(row: DecisionRow): DecisionView {
  const { id, trace_id, tenant, intent, fallback_of, shadow_of, record, ended_at, outcome, code, latency_ms } = row;
  const end =
    ended_at && outcome && latency_ms !== null
      ? { at: ended_at.toISOString(), outcome, code, latency_ms, tokens: row.tokens, cost_usd: row.cost_usd }
      : null;
  return { id, trace_id, tenant, intent, at: row.at.toISOString(), decision: record, fallback_of, shadow_of, end };
}
