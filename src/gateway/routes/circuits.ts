import { z } from "zod";
import { setCircuitByHand } from "../../bus/circuits.ts";
import { CircuitChange, CircuitList } from "../../contracts/http.ts";
import { openCircuits } from "../../store/circuits.ts";
import { problems, type Routes } from "../route.ts";

const Key = z.string().regex(/^[a-z]+\.[a-z]+\.\d+$/, "is service.role.shard");

/** `GET /api/circuits`, and opening and closing one by hand. */
export const circuitRoutes: Routes = (app, { sql }) => {
  const list = async (): Promise<CircuitList> => ({
    circuits: (await openCircuits(sql)).map(({ key, state, since, because, byHand }) => ({
      key,
      state,
      since: since.toISOString(),
      because,
      by_hand: byHand,
    })),
  });

  app.route({
    method: "GET",
    url: "/api/circuits",
    schema: {
      operationId: "circuits",
      summary: "The circuits that are not closed, and why",
      response: { 200: CircuitList, ...problems },
    },
    handler: list,
  });

  for (const [verb, state] of [
    ["open", "open"],
    ["close", "closed"],
  ] as const) {
    app.route({
      method: "POST",
      url: `/api/circuits/:key/${verb}`,
      schema: {
        operationId: `${verb}Circuit`,
        summary: state === "open" ? "Leave a lane alone until it is closed by hand" : "Let work flow on a lane again",
        params: z.object({ key: Key }),
        body: CircuitChange,
        response: { 200: CircuitList, ...problems },
      },
      async handler({ params: { key }, body: { reason }, identity: { name } }): Promise<CircuitList> {
        await setCircuitByHand(sql, { key, state, by: name, reason });
        return list();
      },
    });
  }
};
