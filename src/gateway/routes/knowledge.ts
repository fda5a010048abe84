import { IndexRequest } from "../../contracts/knowledge.ts";
import { admit } from "../admit.ts";
import { admission, type Routes } from "../route.ts";

/** `POST /api/rag/index`: documents to add, replace or delete. */
export const knowledgeRoutes: Routes = (app, tools) => {
  app.route({
    method: "POST",
    url: "/api/rag/index",
    schema: {
      operationId: "index",
      summary: "Index documents, or delete them",
      body: IndexRequest,
      ...admission,
    },
    handler: (request, reply) =>
      admit({ request, reply }, { to: "rag.index", intent: "rag.index", payload: request.body }, tools),
  });
};
