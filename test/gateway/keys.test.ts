import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KeyCreated, KeyList } from "../../src/contracts/http.ts";
import { type Door, openDoor, post } from "./door.ts";

const admin = { "x-admin-token": "secret" };

describe("/api/keys", () => {
  let door: Door;
  beforeAll(async () => {
    door = await openDoor({ adminToken: "secret" });
  });
  afterAll(() => door.close());

  const make = (body: unknown, headers: Record<string, string> = admin) => post(`${door.url}/api/keys`, body, headers);

  test("shows a key once, stores its hash, brings its tenant into being and takes effect at once", async () => {
    const reply = await make({ name: "acme's", kind: "tenant", tenant: "acme" });

    expect(reply.status).toBe(201);
    expect(reply.headers.get("cache-control")).toBe("no-store");
    const created = KeyCreated.parse(await reply.json());
    expect(created).toMatchObject({ name: "acme's", kind: "tenant", tenant: "acme", revoked_at: null });
    expect(created.key).toMatch(/^dag_[\w-]{43}$/);
    expect(await door.world.sql`select from tenants where id = 'acme'`).toHaveLength(1);
    const kept = JSON.stringify(await door.world.sql`select *, encode(sha256, 'base64') from access_keys`);
    expect(kept).not.toContain(created.key);
    expect((await fetch(`${door.url}/api/traces`)).status).toBe(401);
    expect(
      (await fetch(`${door.url}/api/traces`, { headers: { authorization: `Bearer ${created.key}` } })).status,
    ).toBe(200);
  });

  test("puts a key out of force at once, and only once", async () => {
    const { id, key } = KeyCreated.parse(await (await make({ name: "short", kind: "operator" })).json());
    const use = () => fetch(`${door.url}/api/metrics/summary`, { headers: { authorization: `Bearer ${key}` } });
    const revoke = () => fetch(`${door.url}/api/keys/${id}`, { method: "DELETE", headers: admin });
    expect((await use()).status).toBe(200);

    const revoked = await revoke();

    expect(revoked.status).toBe(200);
    expect(await revoked.json()).toMatchObject({ id, revoked_at: expect.any(String) });
    expect((await use()).status).toBe(401);
    expect((await revoke()).status).toBe(404);
  });

  test("lists keys without the keys", async () => {
    const { key } = KeyCreated.parse(await (await make({ name: "listed", kind: "admin" })).json());

    const text = await (await fetch(`${door.url}/api/keys`, { headers: admin })).text();

    expect(KeyList.parse(JSON.parse(text)).keys[0]).toMatchObject({ name: "listed", kind: "admin", tenant: "local" });
    expect(text).not.toContain(key.slice(4));
  });

  test("makes a sandbox worker's key, which opens nothing here", async () => {
    const { key, kind } = KeyCreated.parse(await (await make({ name: "builder", kind: "sandbox" })).json());
    const headers = { authorization: `Bearer ${key}` };

    expect(kind).toBe("sandbox");
    for (const path of ["/api/traces", "/api/metrics/summary", "/api/keys"]) {
      expect((await fetch(door.url + path, { headers })).status).toBe(401);
    }
  });

  test("leaves an event of each change, with who made it", async () => {
    const { id } = KeyCreated.parse(await (await make({ name: "audited", kind: "admin" })).json());
    await fetch(`${door.url}/api/keys/${id}`, { method: "DELETE", headers: admin });

    const events = await door.world.sql`
      select kind, tenant, details from bus_events where details ->> 'key_id' = ${id} order by id`;

    const details = { key_id: id, name: "audited", kind: "admin", by: "ADMIN_TOKEN" };
    expect(events).toEqual([
      { kind: "access_key_created", tenant: "local", details },
      { kind: "access_key_revoked", tenant: "local", details },
    ]);
  });

  test.each([
    [{ name: "", kind: "tenant" }, "invalid_request", "/name"],
    [{ name: "x", kind: "god" }, "invalid_request", "/kind"],
    [{ name: "x", kind: "tenant", tenant: "Not A Tenant" }, "invalid_request", "/tenant"],
    [{ name: "x", kind: "operator", tenant: "unheard-of" }, "unknown_tenant", "/tenant"],
  ])("refuses %j, and stores nothing", async (body, code, path) => {
    const before = await door.world.sql`select from access_keys`;

    const reply = await make(body);

    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({ code, errors: [{ in: "body", path }] });
    expect(await door.world.sql`select from access_keys`).toHaveLength(before.length);
  });

  test("refuses an id that is none", async () => {
    const reply = await fetch(`${door.url}/api/keys/one`, { method: "DELETE", headers: admin });

    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({ errors: [{ in: "path", path: "/id" }] });
  });
});

test("the first key must leave somebody who can make the next", async () => {
  const door = await openDoor();
  try {
    const first = await post(`${door.url}/api/keys`, { name: "acme's", kind: "tenant", tenant: "acme" });
    expect(first.status).toBe(409);
    expect(await first.json()).toMatchObject({ code: "conflict", detail: expect.stringContaining("ADMIN_TOKEN") });
    expect(await door.world.sql`select from access_keys`).toHaveLength(0);

    expect((await post(`${door.url}/api/keys`, { name: "builder", kind: "sandbox" })).status).toBe(201);
    expect((await fetch(`${door.url}/api/traces`)).status).toBe(200); // it is no key of this door
    expect((await post(`${door.url}/api/keys`, { name: "root", kind: "admin" })).status).toBe(201);
    expect((await fetch(`${door.url}/api/traces`)).status).toBe(401);
  } finally {
    await door.close();
  }
});
