import { UploadView } from "../../contracts/upload.ts";
import { problems, type Routes } from "../route.ts";
import { takeBundle, takeTar } from "../upload.ts";

const types = ["application/x-tar", "application/gzip", "application/x-git-bundle"];

/** `POST /api/workspaces`: a project as a tar or a git bundle, taken in as it comes; work names it by its id. */
export const workspaceRoutes: Routes = (app, { artifactsBase, newTraceId }) => {
  app.addContentTypeParser(types, { bodyLimit: 2_147_483_647 }, (_, body, done) => done(null, body));
  app.route({
    method: "POST",
    url: "/api/workspaces",
    schema: {
      operationId: "upload",
      summary:
        "Upload a project as a tar (application/x-tar, or application/gzip) or a git bundle (application/x-git-bundle); the same files are the same upload",
      consumes: types,
      response: { 201: UploadView, ...problems },
    },
    async handler(request, reply): Promise<UploadView> {
      const type = request.headers["content-type"] ?? "";
      const incoming = { tenant: request.identity.tenant, name: newTraceId() };
      const kept = type.startsWith("application/x-git-bundle")
        ? await takeBundle(artifactsBase, request.raw, incoming)
        : await takeTar(artifactsBase, request.raw, { ...incoming, gzipped: type.startsWith("application/gzip") });
      reply.code(201);
      return kept;
    },
  });
};
