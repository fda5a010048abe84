import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { readConfig } from "../../src/app/config.ts";
import { openSandboxHub, type SandboxHub } from "../../src/app/hub.ts";
import { sha256 } from "../../src/gateway/guard.ts";
import { revokeKey, storeKey } from "../../src/store/keys.ts";
import { openWorld, type World } from "../support/world.ts";

const patient = { timeout: 20_000 };

describe("the hub of a worker", () => {
  let world: World;
  let hub: SandboxHub;
  beforeAll(async () => {
    world = await openWorld();
    const config = readConfig({ SANDBOX_TOKEN: "shared-by-all", SANDBOX_HUB_PORT: "0" });
    hub = await openSandboxHub(config, { sql: world.sql, log: world.log });
  });
  afterAll(async () => {
    await hub.close();
    await world.close();
  });

  const makeKey = (key: string, kind: "sandbox" | "admin", name: string = kind) =>
    storeKey(world.sql, { name, kind, tenant: "local", sha256: sha256(key) });
  const dial = (key: string) =>
    new WebSocket(`ws://127.0.0.1:${hub.port}`, { headers: { authorization: `Bearer ${key}` } });
  const statusOf = (key: string) =>
    new Promise<string>((end) => {
      const socket = dial(key);
      socket.on("open", () => {
        socket.terminate();
        end("open");
      });
      socket.on("error", ({ message }) => end(message));
    });
  const hello = { type: "hello", version: 1, why: null, slots: 1, free: 1, profiles: [], promises: {} };
  const join = async (key: string, facts: object) => {
    const socket = dial(key);
    await new Promise((up) => socket.on("open", up));
    socket.send(JSON.stringify({ ...hello, ...facts }));
    return socket;
  };
  const workers = () =>
    world.sql<{ id: string; facts: Record<string, unknown> }[]>`
      select id, facts from bus_workers where kind = 'sandbox' order by id`;

  test("lets in the shared token and a sandbox worker's own key, and no other key", async () => {
    await makeKey("its-own", "sandbox", "builder 1");
    await makeKey("an-admins", "admin");

    expect(await statusOf("shared-by-all")).toBe("open");
    expect(await statusOf("its-own")).toBe("open");
    expect(await statusOf("an-admins")).toContain("401");
    expect(await statusOf("a-strangers")).toContain("401");
  });

  test("says who is connected, and tells once of a worker that refuses work", async () => {
    const socket = await join("its-own", { worker: "weak", class: null, why: "bwrap is not installed" });
    await expect
      .poll(async () => {
        await hub.tellAlive();
        return workers();
      }, patient)
      .toMatchObject([{ id: "sandbox-weak", facts: { key: "builder 1", class: null } }]);
    await hub.tellAlive();

    const events = await world.sql`select details from bus_events where kind = 'sandbox_refuses_work'`;
    expect(events).toMatchObject([{ details: { worker: "weak", key: "builder 1", why: "bwrap is not installed" } }]);
    socket.terminate();
  });

  test("sends a worker away whose key was revoked, and does not let it in again", async () => {
    const { id } = await makeKey("soon-gone", "sandbox", "builder 2");
    const socket = await join("soon-gone", { worker: "revoked", class: "strict" });
    const closed = new Promise<string>((end) => socket.on("close", (_, why) => end(String(why))));
    await expect.poll(() => JSON.stringify(world.log.lines), patient).toContain('"revoked"');

    await revokeKey(world.sql, id);
    await hub.tellAlive();

    expect(await closed).toBe("its key was revoked");
    expect(await statusOf("soon-gone")).toContain("401");
  });

  test("is not opened where nothing asks for one, and says what to set", async () => {
    const none = await openSandboxHub(readConfig({}), { sql: world.sql, log: world.log });

    expect(none.port).toBeNull();
    await expect(none.run({} as never, {} as never)).rejects.toThrow("set SANDBOX_TOKEN");
  });

  test("names a certificate without its key, and a file that is not there", async () => {
    expect(() => readConfig({ SANDBOX_HUB_CERT: "cert.pem" })).toThrow(/SANDBOX_HUB_KEY/);
    const config = readConfig({ SANDBOX_TOKEN: "t", SANDBOX_HUB_CERT: "/no/cert.pem", SANDBOX_HUB_KEY: "/no/key.pem" });
    await expect(openSandboxHub(config, { sql: world.sql, log: world.log })).rejects.toMatchObject({
      code: "config_invalid",
      message: expect.stringContaining("/no/cert.pem"),
    });
  });
});
