import { z } from "zod";
import { sightOf } from "../../bus/sight.ts";
import { Failure } from "../../contracts/failure.ts";
import {
  DecisionList,
  DecisionsQuery,
  DecisionView,
  DryRun,
  DryRunRequest,
  OrchestratorQuery,
  OrchestratorSummary,
  WhatIf,
  WhatIfRequest,
} from "../../contracts/orchestrator.ts";
import { summariseDecisions } from "../../ops/decisions.ts";
import { whatIf } from "../../ops/whatif.ts";
import { decide, refusalOf } from "../../rules/decide.ts";
import { type DecisionRow, decisionOf, decisionsIn, latestDecisions } from "../../store/decisions.ts";
import { problems, type Routes } from "../route.ts";

/** `/api/orchestrator/*` and its summary: what was decided, why, how it ended, and what would be decided. */
export const orchestratorRoutes: Routes = (app, { sql, now, newTraceId, orchestrator, refusesAddress }) => {
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
      summariseDecisions(sql, { now: now(), windowS: window_s, tenant, plan: orchestrator().canary }),
  });

  app.route({
    method: "POST",
    url: "/api/orchestrator/decide",
    schema: {
      operationId: "dryRun",
      summary: "Whom would it choose, and why? Nothing is kept and nobody is asked",
      body: DryRunRequest,
      response: { 200: DryRun, ...problems },
    },
    async handler({ body, identity: { tenant } }): Promise<DryRun> {
      const { role, intent, language, capabilities, conversation, key = null } = body;
      const asked = {
        request: { role, work: { ...blank, language, capabilities, conversation } },
        tenant,
        intent,
        key: key ?? newTraceId(),
      };
      const decision = decide(asked, await sightOf(sql, { role, tenant, refusesAddress }), orchestrator());
      if (decision.chosen !== null) return { key: asked.key, would: decision, refusal: null };
      return { key: asked.key, would: null, refusal: refusalOf(asked, decision) };
    },
  });

  app.route({
    method: "POST",
    url: "/api/orchestrator/what-if",
    schema: {
      operationId: "whatIf",
      summary: "Other weights, or other agents, over the decisions that were recorded",
      body: WhatIfRequest,
      response: { 200: WhatIf, ...problems },
    },
    handler: ({ body }): Promise<WhatIf> => whatIf(sql, body),
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

/** Work of which only is said what an agent must be able to do. */
const blank = { prompt: "", workspace: {}, build: null, test: null, max_rounds: 1, grounding: [] };

function viewOf(row: DecisionRow): DecisionView {
  const { id, trace_id, tenant, intent, fallback_of, shadow_of, record, ended_at, outcome, code, latency_ms } = row;
  const end =
    ended_at && outcome && latency_ms !== null
      ? { at: ended_at.toISOString(), outcome, code, latency_ms, tokens: row.tokens, cost_usd: row.cost_usd }
      : null;
  return { id, trace_id, tenant, intent, at: row.at.toISOString(), decision: record, fallback_of, shadow_of, end };
}
