import { UploadView } from "../../contracts/upload.ts";
import { problems, type Routes } from "../route.ts";
import { takeTar } from "../upload.ts";

/** `POST /api/workspaces`: a project as a tar, taken in as it comes; work names it by its id. */
export const workspaceRoutes: Routes = (app, { artifactsBase, newTraceId }) => {
  app.addContentTypeParser(["application/x-tar", "application/gzip"], { bodyLimit: 2_147_483_647 }, (_, body, done) =>
    done(null, body),
  );
  app.route({
    method: "POST",
    url: "/api/workspaces",
    schema: {
      operationId: "upload",
      summary: "Upload a project as a tar (application/x-tar, or application/gzip); the same files are the same upload",
      consumes: ["application/x-tar", "application/gzip"],
      response: { 201: UploadView, ...problems },
    },
    async handler(request, reply): Promise<UploadView> {
      const gzipped = request.headers["content-type"]?.startsWith("application/gzip") === true;
      const { tenant } = request.identity;
      const kept = await takeTar(artifactsBase, request.raw, { tenant, name: newTraceId(), gzipped });
      reply.code(201);
      return kept;
    },
  });
};
