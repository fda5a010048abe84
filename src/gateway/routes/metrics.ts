import { Summary } from "../../contracts/metrics.ts";
import { summarise } from "../../ops/summary.ts";
import { problems, type Routes } from "../route.ts";

const windowS = 86_400; // one day

/** `GET /api/metrics/summary`: the state of the whole system, of all tenants. */
export const metricsRoutes: Routes = (app, { sql, now }) => {
  app.route({
    method: "GET",
    url: "/api/metrics/summary",
    schema: {
      operationId: "summary",
      summary: "Totals, circuits, orchestrator, rag, backlog and workers",
      response: { 200: Summary, ...problems },
    },
    handler: (): Promise<Summary> => summarise(sql, { now: now(), windowS }),
  });
};
