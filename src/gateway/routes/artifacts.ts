import { createHash } from "node:crypto";
import { z } from "zod";
import type { ArtifactMeta } from "../../contracts/artifact.ts";
import { Failure } from "../../contracts/failure.ts";
import { ArtifactList, ArtifactsQuery } from "../../contracts/http.ts";
import { artifactAt, artifactBytes, artifactIndex } from "../../store/artifacts.ts";
import type { Sql } from "../../store/database.ts";
import type { Identity } from "../guard.ts";
import { problems, type Routes } from "../route.ts";

/** `GET /api/artifacts/index` and `GET /artifacts/*`: what the tenant's traces left behind. */
export const artifactRoutes: Routes = (app, { sql, artifactsBase }) => {
  app.route({
    method: "GET",
    url: "/api/artifacts/index",
    schema: {
      operationId: "artifacts",
      summary: "The index of kept files, latest first",
      querystring: ArtifactsQuery,
      response: { 200: ArtifactList, ...problems },
    },
    async handler({ query: { trace_id = null, before = null, limit }, identity }): Promise<ArtifactList> {
      const { tenant } = identity;
      const held = seesHeld(identity);
      const found = await artifactIndex(sql, { tenant, traceId: trace_id, before, held, limit: limit + 1 });
      const artifacts = found.slice(0, limit);
      return { artifacts, next: found.length > limit ? cursorOf(artifacts.at(-1)) : null };
    },
  });

  app.route({
    method: "GET",
    url: "/artifacts/*",
    schema: {
      operationId: "artifact",
      summary: "The bytes of a kept file, or of the .meta.json beside it",
      params: z.object({ "*": z.string() }),
      response: { ...problems },
    },
    async handler(request, reply) {
      const path = request.params["*"];
      mustStayInside(path);
      const { contentType, sha256, bytes } = await fileAt(sql, path, {
        identity: request.identity,
        base: artifactsBase,
      });
      const etag = `"${sha256}"`;
      reply
        .header("etag", etag)
        .header("cache-control", "private, no-cache") // a later attempt may replace it
        .header("content-security-policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:");
      if (request.headers["if-none-match"] === etag) return reply.code(304).send();
      return reply
        .header("content-type", contentType)
        .header("content-disposition", `inline; filename="${path.replace(/^.*\//, "").replace(/[^\w.-]/g, "_")}"`)
        .send(bytes);
    },
  });
};

const metaSuffix = ".meta.json";

/** A file of the index or its description. What is not in the index is not there, whatever the folder holds. */
async function fileAt(sql: Sql, path: string, { identity, base }: { identity: Identity; base: string }) {
  const { tenant } = identity;
  const indexed = await artifactAt(sql, path, tenant);
  mustBeFree(indexed, path, identity);
  if (indexed) {
    const bytes = await artifactBytes(base, path);
    return { contentType: indexed.content_type, sha256: indexed.sha256, bytes };
  }
  const described = path.endsWith(metaSuffix) ? await artifactAt(sql, path.slice(0, -metaSuffix.length), tenant) : null;
  if (!described) throw new Failure("not_found", `there is no artifact ${path}`);
  mustBeFree(described, path, identity);
  const bytes = await artifactBytes(base, path);
  return { contentType: "application/json", sha256: createHash("sha256").update(bytes).digest("hex"), bytes };
}

/** A change that a person must approve first is read by those who approve, and by nobody else. */
function seesHeld({ kinds }: Identity): boolean {
  return kinds.some((kind) => kind === "operator" || kind === "admin");
}

function mustBeFree(file: { held: boolean } | null, path: string, identity: Identity): void {
  if (!file?.held || seesHeld(identity)) return;
  throw new Failure(
    "forbidden",
    `${path} is handed out when an operator has approved it; its trace says how that stands`,
  );
}

/** The router has decoded the path once; whatever still climbs or hides is refused before anything is looked up. */
function mustStayInside(path: string): void {
  const parts = path.split("/");
  const plain = !/[\0\\]/.test(path) && parts.every((part) => part !== "" && part !== "." && part !== "..");
  if (plain) return;
  throw new Failure("invalid_request", "the path leaves the artifacts folder", {
    errors: [{ in: "path", path: "/*", message: "is a path inside the artifacts folder" }],
  });
}

function cursorOf(last: ArtifactMeta | undefined): string | null {
  return last ? `${last.created_at}/${last.path}` : null;
}
