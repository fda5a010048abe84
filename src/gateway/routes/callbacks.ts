import { z } from "zod";
import { CallbackBody, CallbackParams, CallbackTaken, CallbackTold } from "../../contracts/outside.ts";
import { takeCallback, tellCallback } from "../../ops/callbacks.ts";
import { problems, type Routes } from "../route.ts";

/** `/api/callbacks`: where agents that have taken work answer later. The token of a callback is all that opens it. */
export const callbackRoutes: Routes = (app, { sql }) => {
  app.route({
    method: "POST",
    url: "/api/callbacks/:id",
    schema: {
      operationId: "answerCallback",
      summary:
        "An agent's later answer, or its progress: 409 when there was another before, 410 when it has expired, 425 when it is too early",
      params: CallbackParams,
      body: CallbackBody,
      response: { 200: z.union([CallbackTaken, CallbackTold]), ...problems },
    },
    handler: ({ params: { id }, body, headers }): Promise<CallbackTaken | CallbackTold> => {
      const [, token = null] = /^bearer +(\S+)$/i.exec(headers.authorization ?? "") ?? [];
      if ("progress" in body) return tellCallback(sql, { id, token, body });
      return takeCallback(sql, { id, token, body });
    },
  });
};
