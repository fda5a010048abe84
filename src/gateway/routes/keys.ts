import { randomBytes } from "node:crypto";
import { z } from "zod";
import { Failure } from "../../contracts/failure.ts";
import { KeyCreated, KeyList, KeyRequest, KeyView } from "../../contracts/http.ts";
import type { Sql } from "../../store/database.ts";
import { tellAlone } from "../../store/events.ts";
import { type AccessKey, keysOf, openTenant, revokeKey, standingOf, storeKey, tenantExists } from "../../store/keys.ts";
import { sha256 } from "../guard.ts";
import { problems, type Routes } from "../route.ts";

/** `POST`, `GET` and `DELETE /api/keys`: who may come in. Each change is an event in the same transaction. */
export const keyRoutes: Routes = (app, { sql, adminToken }) => {
  app.route({
    method: "POST",
    url: "/api/keys",
    schema: {
      operationId: "createKey",
      summary: "Make a key; it is shown in this answer only",
      body: KeyRequest,
      response: { 201: KeyCreated, ...problems },
    },
    async handler(request, reply) {
      const { name, kind, tenant } = request.body;
      const key = `dag_${randomBytes(32).toString("base64url")}`;
      const stored = await sql.begin(async (tx) => {
        const closesTheDoor = kind !== "admin" && kind !== "sandbox";
        if (closesTheDoor && adminToken === null) await mustHaveAdmin(tx);
        if (kind === "tenant") await openTenant(tx, tenant);
        else mustExist(await tenantExists(tx, tenant), tenant);
        const row = await storeKey(tx, { name, kind, tenant, sha256: sha256(key) });
        await tellAlone(tx, {
          kind: "access_key_created",
          tenant,
          traceId: String(request.id),
          details: { key_id: row.id, name, kind, by: request.identity.name },
        });
        return row;
      });
      return reply
        .code(201)
        .header("cache-control", "no-store")
        .send({ ...viewOf(stored), key } satisfies KeyCreated);
    },
  });

  app.route({
    method: "GET",
    url: "/api/keys",
    schema: {
      operationId: "keys",
      summary: "All keys without the keys themselves, latest first",
      response: { 200: KeyList, ...problems },
    },
    handler: async (): Promise<KeyList> => ({ keys: (await keysOf(sql)).map(viewOf) }),
  });

  app.route({
    method: "DELETE",
    url: "/api/keys/:id",
    schema: {
      operationId: "revokeKey",
      summary: "Put a key out of force, at once",
      params: z.object({ id: z.string().regex(/^\d{1,18}$/, "is the id of a key: digits") }),
      response: { 200: KeyView, ...problems },
    },
    async handler(request): Promise<KeyView> {
      const { id } = request.params;
      return sql.begin(async (tx) => {
        const row = await revokeKey(tx, id);
        if (!row) throw new Failure("not_found", `there is no key ${id} in force`);
        await tellAlone(tx, {
          kind: "access_key_revoked",
          tenant: row.tenant,
          traceId: String(request.id),
          details: { key_id: row.id, name: row.name, kind: row.kind, by: request.identity.name },
        });
        return viewOf(row);
      });
    },
  });
};

/** The first key closes the door to everybody without one: somebody must be left who can make the second. */
async function mustHaveAdmin(tx: Sql): Promise<void> {
  if ((await standingOf(tx, null)).adminExists) return;
  throw new Failure(
    "conflict",
    "the first key must be of kind admin, or set ADMIN_TOKEN: or nobody could make the next one",
  );
}

function mustExist(exists: boolean, tenant: string): void {
  if (exists) return;
  throw new Failure("unknown_tenant", `there is no tenant ${tenant}; its first tenant key creates it`, {
    errors: [{ in: "body", path: "/tenant", message: "is not a tenant" }],
  });
}

function viewOf({ created_at, revoked_at, ...key }: AccessKey): KeyView {
  return { ...key, created_at: created_at.toISOString(), revoked_at: revoked_at?.toISOString() ?? null };
}
