import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { Failure } from "../contracts/failure.ts";
import { Tenant } from "../contracts/message.ts";
import type { Caller, RoutePolicies } from "../contracts/policy.ts";
import type { Database } from "../store/database.ts";
import { type Standing, standingOf, tenantExists } from "../store/keys.ts";
import { within } from "../store/reach.ts";

/** Who asks, as far as it is proved. `tenant` is whose data is read and written. */
export type Identity = {
  kind: "anonymous" | "tenant" | "operator" | "admin";
  tenant: string;
  name: string; // of the key, for the audit log; never the key
  kinds: Caller[]; // all that the credential stands for
  named: boolean; // the tenant was named in `x-tenant`
};

export type GuardOptions = {
  sql: Database;
  policies: () => RoutePolicies;
  adminToken: string | null;
  requireAdminForNonGet: boolean;
  openWithoutKeys: boolean; // anonymous may come in while no key is configured
  checkHost: boolean; // and then only under a name of this machine
};

/** How long the guard waits for the database. */
const patienceMs = 3000;

const nobody: Identity = { kind: "anonymous", tenant: "local", name: "anonymous", kinds: ["public"], named: false };

/**
 * Decides about a request before its body is read, and says who asks.
 *
 * Throws `unauthorized` (no credential, or a wrong one), `forbidden` (not this route, not this tenant, not under this
 * host name), `unknown_tenant`, `database_unavailable`.
 */
export async function guard(request: FastifyRequest, options: GuardOptions): Promise<Identity> {
  const { sql, policies, checkHost } = options;
  const route = `${request.method === "HEAD" ? "GET" : request.method} ${request.routeOptions.url}`;
  const allow = policies().routes[route]?.allow ?? null;
  const isPublic = allow?.includes("public") === true;
  const ourName = !checkHost || isLoopbackAuthority(request.headers.host ?? "");
  if (isPublic && ourName) return nobody;

  const shown = credentialsOf(request);
  const keys = await within(patienceMs, standingOf(sql, shown.keySha256));
  if (!keys.configured && !ourName) {
    throw new Failure("forbidden", "no key is configured, so only requests to localhost are answered", {
      host: request.headers.host ?? null,
    });
  }
  if (isPublic) return nobody;

  const proof = prove(shown, keys, options);
  if (options.requireAdminForNonGet && !["GET", "HEAD"].includes(request.method)) {
    mustBeAdmin(proof, { admitsTenants: allow?.includes("tenant") === true, keys, options });
  }
  if (proof.anonymous && allow && !proof.kinds.some((kind) => allow.includes(kind))) {
    throw new Failure("unauthorized", "this route asks for x-admin-token, or for the key of an operator or admin");
  }
  mustBeAllowed(proof.kinds, { route, allow });
  const tenant = await tenantFor(request, proof, sql);
  const kind = proof.admin ? "admin" : (keys.key?.kind ?? "anonymous");
  return { kind, tenant, name: proof.name, kinds: proof.kinds, named: request.headers["x-tenant"] !== undefined };
}

type Shown = { adminToken: string | null; bearer: boolean; keySha256: Buffer | null };

function credentialsOf({ headers }: FastifyRequest): Shown {
  const token = headers["x-admin-token"];
  const adminToken = typeof token === "string" ? token : null;
  if (headers.authorization === undefined) return { adminToken, bearer: false, keySha256: null };
  const [, key] = /^bearer +(dag_[\w-]{43})$/i.exec(headers.authorization) ?? [];
  return { adminToken, bearer: true, keySha256: key ? sha256(key) : null };
}

/** What was proved: the kinds of caller it stands for, and whether it is an admin by a credential. */
type Proof = {
  kinds: Caller[];
  anonymous: boolean;
  admin: boolean;
  tenant: string;
  name: string;
  keyKind: Caller | null;
};

function prove(shown: Shown, keys: Standing, options: GuardOptions): Proof {
  const { key } = keys;
  if (shown.bearer && !key) throw new Failure("unauthorized", "the key is unknown or was revoked");
  if (shown.adminToken !== null && !matches(shown.adminToken, options.adminToken)) {
    throw new Failure("unauthorized", options.adminToken ? "the x-admin-token is wrong" : noTokenSet);
  }
  const byToken = shown.adminToken !== null;
  if (!key && !byToken) return anonymous(keys, options);
  const kinds: Caller[] = [];
  if (byToken) kinds.push("admin");
  if (key) kinds.push(key.kind);
  return {
    kinds,
    anonymous: false,
    admin: kinds.includes("admin"),
    tenant: key?.tenant ?? "local",
    name: key?.name ?? "ADMIN_TOKEN",
    keyKind: key?.kind ?? null,
  };
}

const noTokenSet = "no ADMIN_TOKEN is set here, so no x-admin-token can be right: set it and start again";

function anonymous(keys: Standing, { adminToken, openWithoutKeys }: GuardOptions): Proof {
  if (keys.configured || !openWithoutKeys) {
    throw new Failure("unauthorized", "show a key: `Authorization: Bearer dag_…`");
  }
  const kinds: Caller[] = adminToken === null ? ["tenant", "operator", "admin"] : ["tenant", "operator"];
  return { kinds, anonymous: true, admin: false, tenant: nobody.tenant, name: nobody.name, keyKind: null };
}

/** What REQUIRE_ADMIN_FOR_NON_GET asks for. A tenant's own key is enough where the route admits tenants. */
function mustBeAdmin(
  { admin, keyKind }: Proof,
  { admitsTenants, keys, options }: { admitsTenants: boolean; keys: Standing; options: GuardOptions },
): void {
  if (admin || (admitsTenants && keyKind === "tenant")) return;
  const noWay = options.adminToken === null && !keys.adminExists;
  throw new Failure(
    "unauthorized",
    noWay
      ? "REQUIRE_ADMIN_FOR_NON_GET is on, but nobody can be admin: set ADMIN_TOKEN and start again"
      : "REQUIRE_ADMIN_FOR_NON_GET is on: show x-admin-token, or the key of an admin",
  );
}

function mustBeAllowed(kinds: Caller[], { route, allow }: { route: string; allow: Caller[] | null }): void {
  if (allow && kinds.some((kind) => allow.includes(kind))) return;
  const missing = allow ? `"${kinds[0]}" in allow of "${route}"` : `a line for "${route}"`;
  throw new Failure("forbidden", `this route is denied: configs/route_policies.json has not ${missing}`, { route });
}

/** The tenant of the credential, or the one named in `x-tenant` by those who may. */
async function tenantFor({ headers }: FastifyRequest, proof: Proof, sql: Database): Promise<string> {
  const named = headers["x-tenant"];
  if (named === undefined || named === proof.tenant) return proof.tenant;
  if (!proof.kinds.some((kind) => kind === "operator" || kind === "admin")) {
    throw new Failure("forbidden", "a tenant's key works for its own tenant; leave x-tenant out");
  }
  const tenant = Tenant.safeParse(named);
  if (tenant.success && (await within(patienceMs, tenantExists(sql, tenant.data)))) return tenant.data;
  throw new Failure("unknown_tenant", `there is no tenant ${JSON.stringify(named)}; its first tenant key creates it`, {
    errors: [{ in: "header", path: "/x-tenant", message: "is not a tenant" }],
  });
}

/** True for the names and addresses by which a machine calls itself. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** The same for a Host header, which may carry a port and writes IPv6 in brackets. */
function isLoopbackAuthority(authority: string): boolean {
  const [, name = ""] = /^(\[[0-9a-f:]+\]|[^:[\]]+)(?::\d{1,5})?$/i.exec(authority) ?? [];
  return isLoopback(name.toLowerCase().replace(/^\[(.*)\]$/, "$1"));
}

/** Compares by SHA-256 in constant time, so that neither content nor length leaks. */
function matches(shown: string, expected: string | null): boolean {
  return expected !== null && timingSafeEqual(sha256(shown), sha256(expected));
}

/** The SHA-256 of a secret, as it is stored and compared. */
export function sha256(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}
