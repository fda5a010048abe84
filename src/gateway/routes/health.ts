import { Health } from "../../contracts/http.ts";
import { ping } from "../../store/reach.ts";
import { problems, type Routes } from "../route.ts";

/** `GET /health`: whether this gateway can do its work. 503 with the reason when the database does not answer in 1 s. */
export const healthRoutes: Routes = (app, { sql, version }) => {
  const openedAt = performance.now();

  app.route({
    method: "GET",
    url: "/health",
    schema: {
      operationId: "health",
      summary: "Whether the gateway and its database answer",
      response: { 200: Health, ...problems },
    },
    async handler(): Promise<Health> {
      await ping(sql, 1000);
      const uptimeS = Math.round((performance.now() - openedAt) / 1000);
      return { status: "ok", version, database: "ok", uptime_s: uptimeS };
    },
  });
};
