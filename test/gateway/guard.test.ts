import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { KeyKind } from "../../src/contracts/http.ts";
import type { RoutePolicies } from "../../src/contracts/policy.ts";
import { sha256 } from "../../src/gateway/guard.ts";
import type { Gateway } from "../../src/gateway/server.ts";
import { openTenant, storeKey } from "../../src/store/keys.ts";
import { openWorld, type World } from "../support/world.ts";
import { gatewayOf, post, raw, shipped } from "./door.ts";

const adminToken = "the-admin-token";
const keyOf = (kind: string) => `dag_${kind.padEnd(43, "x")}`;

describe("the guard", () => {
  let world: World;
  const gateways: Gateway[] = [];
  let policies: RoutePolicies = shipped;
  beforeAll(async () => {
    world = await openWorld();
    await openTenant(world.sql, "acme");
  });
  beforeEach(async () => {
    policies = shipped;
    await world.sql`delete from access_keys`;
  });
  afterAll(async () => {
    for (const gateway of gateways) await gateway.close();
    await world.close();
  });

  async function open(token: string | null, requireAdminForNonGet: boolean): Promise<string> {
    const gateway = await gatewayOf(world, { adminToken: token, requireAdminForNonGet, policies: () => policies });
    gateways.push(gateway);
    return gateway.url;
  }

  const makeKey = (kind: KeyKind, tenant = "local") =>
    storeKey(world.sql, { name: `${kind} key`, kind, tenant, sha256: sha256(keyOf(kind)) });

  const credentials: Record<string, Record<string, string>> = {
    nothing: {},
    "the admin token": { "x-admin-token": adminToken },
    "a wrong admin token": { "x-admin-token": "the-admin-tokem" },
    "a tenant key": { authorization: `Bearer ${keyOf("tenant")}` },
    "an operator key": { authorization: `Bearer ${keyOf("operator")}` },
    "an admin key": { authorization: `Bearer ${keyOf("admin")}` },
    "an unknown key": { authorization: `Bearer ${keyOf("stranger")}` },
    "a password": { authorization: "Basic YTpi" },
  };

  // Answers to: GET /health, GET /api/traces, GET /api/metrics/summary, GET /api/keys, POST /api/chat, POST /api/keys.
  const matrix: [keys: boolean, token: boolean, required: boolean, credential: string, answers: number[]][] = [
    [false, false, false, "nothing", [200, 200, 200, 200, 202, 201]],
    [false, false, false, "a wrong admin token", [200, 401, 401, 401, 401, 401]],
    [false, false, false, "an unknown key", [200, 401, 401, 401, 401, 401]],
    [false, false, true, "nothing", [200, 200, 200, 200, 401, 401]],
    [false, true, false, "nothing", [200, 200, 200, 401, 202, 401]],
    [false, true, false, "the admin token", [200, 200, 200, 200, 202, 201]],
    [false, true, true, "nothing", [200, 200, 200, 401, 401, 401]],
    [false, true, true, "the admin token", [200, 200, 200, 200, 202, 201]],
    [false, true, true, "a wrong admin token", [200, 401, 401, 401, 401, 401]],
    [true, false, false, "nothing", [200, 401, 401, 401, 401, 401]],
    [true, false, false, "a tenant key", [200, 200, 403, 403, 202, 403]],
    [true, false, false, "an operator key", [200, 200, 200, 403, 202, 403]],
    [true, false, false, "an admin key", [200, 200, 200, 200, 202, 201]],
    [true, false, false, "an unknown key", [200, 401, 401, 401, 401, 401]],
    [true, false, false, "a password", [200, 401, 401, 401, 401, 401]],
    [true, true, true, "nothing", [200, 401, 401, 401, 401, 401]],
    [true, true, true, "a tenant key", [200, 200, 403, 403, 202, 401]],
    [true, true, true, "an operator key", [200, 200, 200, 403, 401, 401]],
    [true, true, true, "an admin key", [200, 200, 200, 200, 202, 201]],
    [true, true, true, "the admin token", [200, 200, 200, 200, 202, 201]],
    [true, true, true, "a wrong admin token", [200, 401, 401, 401, 401, 401]],
  ];

  test.each(matrix)(
    "with keys %j, ADMIN_TOKEN %j, REQUIRE_ADMIN %j: %s",
    async (keys, token, required, shown, want) => {
      if (keys) for (const kind of ["tenant", "operator", "admin"] as const) await makeKey(kind);
      const url = await open(token ? adminToken : null, required);
      const headers = credentials[shown] ?? {};

      const replies = [
        await fetch(`${url}/health`, { headers }),
        await fetch(`${url}/api/traces`, { headers }),
        await fetch(`${url}/api/metrics/summary`, { headers }),
        await fetch(`${url}/api/keys`, { headers }),
        await post(`${url}/api/chat`, { message: "may I?" }, headers),
        await post(`${url}/api/keys`, { name: "one more", kind: "admin" }, headers),
      ];

      expect(replies.map(({ status }) => status)).toEqual(want);
      for (const reply of replies.filter(({ status }) => status === 401)) {
        expect(reply.headers.get("www-authenticate")).toBe("Bearer");
        expect(await reply.json()).toMatchObject({ code: "unauthorized" });
      }
    },
  );

  test("says what to set when nobody can be admin", async () => {
    const url = await open(null, true);

    const reply = await post(`${url}/api/chat`, { message: "hi" });

    expect(await reply.json()).toMatchObject({
      code: "unauthorized",
      detail: expect.stringContaining("set ADMIN_TOKEN"),
    });
  });

  test("takes the tenant from the key and keeps it to that tenant", async () => {
    await makeKey("tenant", "acme");
    const url = await open(adminToken, false);
    const headers = { authorization: `Bearer ${keyOf("tenant")}` };

    const reply = await post(`${url}/api/chat`, { message: "whose?" }, { ...headers, "idempotency-key": "whose" });
    const foreign = await fetch(`${url}/api/traces`, { headers: { ...headers, "x-tenant": "local" } });

    expect(reply.status).toBe(202);
    expect(await world.sql`select tenant from bus_traces where idempotency_key = 'whose'`).toEqual([
      { tenant: "acme" },
    ]);
    expect(foreign.status).toBe(403);
    const trace = `${url}${reply.headers.get("location")}`;
    expect((await fetch(trace, { headers })).status).toBe(200);
    expect((await fetch(trace, { headers: { "x-admin-token": adminToken } })).status).toBe(404);
    expect((await fetch(trace, { headers: { "x-admin-token": adminToken, "x-tenant": "acme" } })).status).toBe(200);
  });

  test.each(["nowhere", "../acme", ""])("refuses the unknown tenant %j", async (tenant) => {
    const url = await open(adminToken, false);

    const reply = await fetch(`${url}/api/traces`, { headers: { "x-admin-token": adminToken, "x-tenant": tenant } });

    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({ code: "unknown_tenant", errors: [{ in: "header", path: "/x-tenant" }] });
  });

  test("denies a route that no policy names, and says which line is missing", async () => {
    const url = await open(null, false);
    const { "GET /api/traces": _, ...routes } = shipped.routes;
    policies = { routes };

    const reply = await fetch(`${url}/api/traces`);

    expect(reply.status).toBe(403);
    expect(await reply.json()).toMatchObject({
      code: "forbidden",
      detail: expect.stringContaining('a line for "GET /api/traces"'),
    });
  });

  test.each([
    "evil.example",
    "evil.example:80",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "[::2]",
    "10.0.0.1",
    "",
  ])("without keys answers nothing under the host name %j", async (host) => {
    const url = await open(null, false);

    for (const path of ["/health", "/api/traces"]) {
      const reply = await raw(url, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      expect(reply).toMatch(/^HTTP\/1.1 403 /);
      expect(reply).toContain('"code":"forbidden"');
    }
  });

  test.each(["localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]:8080"])("and everything under %j", async (host) => {
    const url = await open(null, false);

    const reply = await raw(url, `GET /api/traces HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);

    expect(reply).toMatch(/^HTTP\/1.1 200 /);
  });

  test("with keys any host name will do", async () => {
    await makeKey("tenant");
    const url = await open(null, false);

    const auth = `Authorization: Bearer ${keyOf("tenant")}`;
    const reply = await raw(
      url,
      `GET /api/traces HTTP/1.1\r\nHost: dagent.example\r\n${auth}\r\nConnection: close\r\n\r\n`,
    );

    expect(reply).toMatch(/^HTTP\/1.1 200 /);
  });

  test("without keys nobody listens beyond loopback", async () => {
    const opening = gatewayOf(world, { listen: { host: "0.0.0.0", port: 0 } });

    await expect(opening).rejects.toMatchObject({ code: "config_invalid" });
  });

  test("a gateway beyond loopback stays closed when its last key is revoked", async () => {
    await makeKey("tenant");
    const gateway = await gatewayOf(world, { listen: { host: "0.0.0.0", port: 0 } });
    gateways.push(gateway);

    await world.sql`update access_keys set revoked_at = now()`;

    expect((await fetch(`${gateway.url}/api/traces`)).status).toBe(401);
    expect((await fetch(`${gateway.url}/health`)).status).toBe(200);
  });
});
