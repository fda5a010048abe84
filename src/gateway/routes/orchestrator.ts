import { OrchestratorQuery, OrchestratorSummary } from "../../contracts/orchestrator.ts";
import { summariseDecisions } from "../../ops/decisions.ts";
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
};
