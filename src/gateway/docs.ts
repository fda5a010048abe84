import type {} from "@fastify/swagger";
import Fastify, { type FastifyInstance, type RouteOptions } from "fastify";
import { jsonSchemaTransform, serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import type { App } from "./route.ts";

/** The page loads its own scripts and nothing else. */
const pageCsp = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";

/**
 * `GET /openapi.json` (OpenAPI 3.1, from the zod shapes of `routes`) and `GET /docs`, its page, where `GET /` leads.
 * Both come from a second server that never listens and is made when somebody first asks: a gateway at rest does not
 * pay for them.
 */
export function docsRoutes(app: App, { routes, version }: { routes: RouteOptions[]; version: string }): void {
  let docs: Promise<FastifyInstance> | null = null;
  app.route({
    method: "GET",
    url: "/",
    schema: { hide: true },
    handler: (_, reply) => reply.redirect("/docs", 302),
  });
  for (const url of ["/openapi.json", "/docs", "/docs/*"]) {
    app.route({
      method: "GET",
      url,
      schema: { hide: true },
      async handler(request, reply) {
        docs ??= openDocs(routes, version);
        const answer = await (await docs).inject({ method: "GET", url: request.url });
        for (const name of ["content-type", "location", "cache-control", "etag", "content-security-policy"]) {
          const value = answer.headers[name];
          if (value !== undefined) reply.header(name, value);
        }
        return reply.code(answer.statusCode).send(answer.rawPayload);
      },
    });
  }
}

async function openDocs(routes: RouteOptions[], version: string): Promise<FastifyInstance> {
  const [{ default: swagger }, { default: swaggerUi }] = await Promise.all([
    import("@fastify/swagger"),
    import("@fastify/swagger-ui"),
  ]);
  const docs = Fastify({ exposeHeadRoutes: false });
  docs.setValidatorCompiler(validatorCompiler);
  docs.setSerializerCompiler(serializerCompiler);
  await docs.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "distributed-agent",
        version,
        description: "Errors are application/problem+json (RFC 9457). Every answer carries its trace id in x-trace-id.",
      },
      components: {
        securitySchemes: {
          key: { type: "http", scheme: "bearer", description: "A key made by POST /api/keys: dag_…" },
          admin_token: { type: "apiKey", in: "header", name: "x-admin-token", description: "ADMIN_TOKEN" },
        },
      },
      security: [{ key: [] }, { admin_token: [] }],
    },
    transform: jsonSchemaTransform,
  });
  await docs.register(swaggerUi, { routePrefix: "/docs", staticCSP: pageCsp, uiConfig: { validatorUrl: null } });
  docs.get("/openapi.json", { schema: { hide: true } }, () => docs.swagger());
  for (const { method, url, schema } of routes) {
    if (schema && !schema.hide) docs.route({ method, url, schema, handler: () => null });
  }
  await docs.ready();
  return docs;
}
