import { ChatRequest } from "../../contracts/chat.ts";
import { admit } from "../admit.ts";
import { admission, type Routes } from "../route.ts";

/** `POST /api/chat`: a question, work for an agent, or both. */
export const chatRoutes: Routes = (app, tools) => {
  app.route({
    method: "POST",
    url: "/api/chat",
    schema: {
      operationId: "chat",
      summary: "Ask, or have something built and tested",
      body: ChatRequest,
      ...admission,
    },
    handler: (request, reply) =>
      admit({ request, reply }, { to: "chat.ask", intent: request.body.intent, payload: request.body }, tools),
  });
};
