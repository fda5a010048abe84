import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { keepProbing } from "../../src/app/probes.ts";
import type { Sweep } from "../../src/app/sweep.ts";
import { register } from "../../src/store/agents.ts";
import { standings } from "../../src/store/standings.ts";
import { agentSpec } from "../support/agents.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
let server: Server;
let probing: Sweep | null = null;
const asked: string[] = [];
beforeAll(async () => {
  world = await openWorld();
  server = createServer(({ url = "" }, reply) => {
    asked.push(url);
    const status = url === "/well" ? 204 : url === "/moved" ? 302 : 503;
    reply.writeHead(status, { location: "/well" }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  await probing?.stop();
  await world.sql`delete from registry_agents`;
  asked.length = 0;
});
afterAll(async () => {
  await world.close();
  await new Promise((resolve) => server.close(resolve));
});

const at = (path: string) => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
const agentAt = (id: string, probe: string) =>
  agentSpec({ id, reach: { kind: "http", url: at("/"), secret: null, timeout_ms: 1000, probe } });
const silence = async () =>
  Object.fromEntries(
    (await standings(world.sql, "executor.execute")).agents.map(({ id, silent_ms }) => [id, silent_ms > 10_000]),
  );

test("an agent that answers its probe is heard from; one that is ill, leads elsewhere or is gone is silent", async () => {
  await register(world.sql, agentAt("well", at("/well")));
  await register(world.sql, agentAt("ill", at("/ill")));
  await register(world.sql, agentAt("moved", at("/moved")));
  await register(world.sql, agentAt("gone", "http://127.0.0.1:1/"));
  await world.moveClock(11);

  probing = keepProbing({ sql: world.sql, refusesAddress: () => null, fetch, log: world.log });

  await vi.waitFor(async () => expect(await silence()).toMatchObject({ well: false }));
  await vi.waitFor(() => expect([...asked].sort()).toEqual(["/ill", "/moved", "/well"]));
  expect(await silence()).toEqual({ well: false, ill: true, moved: true, gone: true });
});

test("nobody is asked at an address that may not be called, or while he is disabled", async () => {
  await register(world.sql, agentAt("forbidden", at("/well?forbidden")));
  await register(world.sql, { ...agentAt("off", at("/well?off")), enabled: false });
  await register(world.sql, agentAt("free", at("/well")));
  const refusesAddress = (url: string) => (url.includes("forbidden") ? "no" : null);

  probing = keepProbing({ sql: world.sql, refusesAddress, fetch, log: world.log });

  await vi.waitFor(() => expect(asked).toEqual(["/well"]));
});
