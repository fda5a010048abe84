import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { KeyCreated, Problem } from "../../src/contracts/http.ts";
import { AgentList, AgentView } from "../../src/contracts/registry.ts";
import { register } from "../../src/store/agents.ts";
import { trials } from "../../src/store/canaries.ts";
import { agentSpec } from "../support/agents.ts";
import { type Door, openDoor, post } from "./door.ts";

const admin = { "x-admin-token": "secret" };
const echo = {
  id: "echo",
  version: "1",
  intents: ["code.generate"],
  reach: { kind: "http", url: "https://agents.example/echo", secret: "AGENT_ECHO_SECRET" },
};
const canary = { ...echo, version: "2", canary_of: { agent_id: "echo" }, canary_pct: 20 };

describe("/api/agents", () => {
  let door: Door;
  beforeAll(async () => {
    door = await openDoor({
      adminToken: "secret",
      refusesAddress: (url) => (new URL(url).hostname === "10.0.0.7" ? "is a private address" : null),
    });
  });
  beforeEach(async () => {
    await door.world.sql`delete from registry_agents`;
    await door.world.sql`delete from bus_facts`;
  });
  afterAll(() => door.close());

  const send = (method: string, path: string, body?: unknown, headers: Record<string, string> = admin) =>
    fetch(`${door.url}/api/agents${path}`, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const seen = async (reply: Response) => AgentView.parse(await reply.json());
  const listed = async () => AgentList.parse(await (await send("GET", "")).json()).agents;
  const told = async () =>
    await door.world.sql<{ kind: string; details: Record<string, unknown> }[]>`
      select kind, details from bus_events order by id`;

  test("registers an agent with its defaults, tells who did it, and lists it", async () => {
    const reply = await send("POST", "", echo);

    expect(reply.status).toBe(201);
    expect(await seen(reply)).toMatchObject({
      id: "echo",
      service_role: "executor.execute",
      reach: { kind: "http", url: "https://agents.example/echo", secret: "AGENT_ECHO_SECRET", timeout_ms: 120_000 },
      capacity: 1,
      price: { per_call_usd: 0, per_1k_tokens_usd: 0 },
      canary_of: null,
      mode: "live",
      origin: "api",
      paused: null,
      alive: true,
      in_flight: 0,
      stats: [],
    });
    expect(await listed()).toHaveLength(1);
    expect(await told()).toMatchObject([
      { kind: "agent_registered", details: { agent_id: "echo", agent_version: "1", by: "ADMIN_TOKEN" } },
    ]);
  });

  test("puts an agent as it is said, twice with one effect, and tells what changed", async () => {
    const { id, ...body } = echo;
    expect((await send("PUT", "/echo", body)).status).toBe(200);
    expect((await send("PUT", "/echo", body)).status).toBe(200);
    const changed = await send("PUT", "/echo", { ...body, capacity: 7 });

    expect(await seen(changed)).toMatchObject({ capacity: 7 });
    expect(await told()).toMatchObject([
      { kind: "agent_registered" },
      { kind: "agent_changed", details: { changed: { capacity: [1, 7] }, by: "ADMIN_TOKEN" } },
    ]);
  });

  test("changes what is named and leaves the rest", async () => {
    await send("POST", "", { ...echo, capacity: 3, capabilities: ["refactor"] });

    const reply = await send("PATCH", "/echo", { enabled: false, reason: "it is being moved" });

    expect(await seen(reply)).toMatchObject({ enabled: false, capacity: 3, capabilities: ["refactor"] });
    expect((await told())[1]?.details).toMatchObject({
      changed: { enabled: [true, false] },
      reason: "it is being moved",
    });
  });

  test("takes the one stable version when a canary names its stable without one", async () => {
    await send("POST", "", echo);

    expect(await seen(await send("POST", "", canary))).toMatchObject({
      canary_of: { agent_id: "echo", agent_version: "1" },
      canary_pct: 20,
      trial: { verdict: "open", canary: { calls: 0 }, stable: { calls: 0 } },
    });
  });

  test("lays a canary to rest and wakes it", async () => {
    await send("POST", "", echo);
    await send("POST", "", canary);

    const rested = await seen(
      await send("PATCH", "/echo", { version: "2", paused: true, reason: "too many complaints" }),
    );
    const awake = await seen(await send("PATCH", "/echo", { version: "2", paused: false }));

    expect(rested.paused).toMatchObject({ by: "ADMIN_TOKEN", evidence: { reason: "too many complaints" } });
    expect(awake.paused).toBeNull();
    expect((await told()).map(({ kind }) => kind).slice(2)).toEqual(["canary_paused", "canary_resumed"]);
  });

  describe("promotes a canary", () => {
    const tested = (verdict: string) => door.world.sql`update registry_canaries set verdict = ${verdict}`;
    beforeEach(async () => {
      await send("POST", "", echo);
      await send("POST", "", canary);
    });

    test("that is not worse: it takes its stable's place, and the others are its canaries", async () => {
      await send("POST", "", { ...canary, version: "3", canary_of: { agent_id: "echo", agent_version: "1" } });
      await tested("not_worse");

      const reply = await send("POST", "/echo/promote", { version: "2" });

      expect(reply.status).toBe(200);
      expect(await listed()).toMatchObject([
        { version: "1", enabled: false, canary_of: null },
        { version: "2", enabled: true, canary_of: null, canary_pct: 0 },
        { version: "3", canary_of: { agent_id: "echo", agent_version: "2" }, canary_pct: 20 },
      ]);
      expect((await told()).at(-1)).toMatchObject({
        kind: "canary_promoted",
        details: { agent_version: "2", stable: { agent_version: "1" }, by: "ADMIN_TOKEN" },
      });
    });

    test("whose test is open, or that is paused, only by force", async () => {
      expect((await send("POST", "/echo/promote")).status).toBe(409);
      await send("PATCH", "/echo", { version: "2", paused: true });
      await tested("not_worse");
      const paused = await send("POST", "/echo/promote");
      const forced = await send("POST", "/echo/promote", { force: true });

      expect(paused.status).toBe(409);
      expect(await paused.json()).toMatchObject({ detail: expect.stringContaining("was paused by ADMIN_TOKEN") });
      expect(await seen(forced)).toMatchObject({ version: "2", canary_of: null, paused: null });
    });

    test("but nobody who is none, or who does less than its stable", async () => {
      await send("PATCH", "/echo", { version: "1", intents: ["code.generate", "code.buildtest"] });
      await tested("not_worse");

      const less = await send("POST", "/echo/promote");

      expect(Problem.parse(await less.json())).toMatchObject({ code: "conflict", errors: [{ path: "/intents" }] });
      expect((await send("POST", "/echo/promote", { version: "1" })).status).toBe(409);
      expect((await send("POST", "/nobody/promote")).status).toBe(404);
      expect((await send("POST", "/echo/promote", { force: "yes" })).status).toBe(400);
    });
  });

  test("begins the test of a canary anew when it becomes something else, and not otherwise", async () => {
    const seen = { canary: { good: 5, bad: 0 }, stable: { good: 0, bad: 0 } };
    const counted = () => door.world.sql`update registry_canaries set state = ${{ seen }}`;
    const good = async () => (await trials(door.world.sql))[0]?.state.seen.canary.good;
    await send("POST", "", echo);
    await send("POST", "", canary);

    await counted();
    await send("PATCH", "/echo", { version: "2", canary_pct: 30 });
    expect(await good()).toBe(5);
    await send("PATCH", "/echo", { version: "2", reach: { kind: "http", url: "https://agents.example/other" } });
    expect(await good()).toBe(0);
    await counted();
    await send("PATCH", "/echo", { version: "2", paused: true });
    expect(await good()).toBe(5);
    await send("PATCH", "/echo", { version: "2", paused: false });
    expect(await good()).toBe(0);
    await send("PATCH", "/echo", { version: "2", canary_of: null, canary_pct: 0 });
    expect(await good()).toBeUndefined();
  });

  test("removes an agent, but not a stable that has a canary", async () => {
    await send("POST", "", echo);
    await send("POST", "", canary);

    expect((await send("DELETE", "/echo?version=1")).status).toBe(409);
    expect((await send("DELETE", "/echo")).status).toBe(400); // which version?
    const reply = await send("DELETE", "/echo?version=2");

    expect([reply.status, await reply.text()]).toEqual([204, ""]);
    expect((await send("DELETE", "/echo?version=2")).status).toBe(404);
    expect((await listed()).map(({ version }) => version)).toEqual(["1"]);
    expect((await told()).at(-1)).toMatchObject({ kind: "agent_removed", details: { agent_version: "2" } });
  });

  test("an agent that was silent is alive again with its heartbeat", async () => {
    await send("POST", "", echo);
    await door.world.moveClock(11);
    expect(await listed()).toMatchObject([{ alive: false }]);

    const reply = await send("POST", "/echo/heartbeat");

    expect(reply.status).toBe(204);
    expect(await listed()).toMatchObject([{ alive: true }]);
    expect((await send("POST", "/nobody/heartbeat")).status).toBe(404);
  });

  test("keeps a worker's own agents as its configuration says, and lets an operator set the rest", async () => {
    await register(door.world.sql, agentSpec({ id: "builder" }));

    expect((await send("PATCH", "/builder", { capacity: 9 })).status).toBe(409);
    expect((await send("PUT", "/builder", { ...echo, id: undefined })).status).toBe(409);
    await send("PATCH", "/builder", { enabled: false, price: { per_call_usd: 2 } });
    await register(door.world.sql, agentSpec({ id: "builder", capacity: 5 }));

    expect(await listed()).toMatchObject([
      {
        id: "builder",
        origin: "config",
        enabled: false,
        capacity: 5,
        price: { per_call_usd: 2, per_1k_tokens_usd: 0 },
      },
    ]);
  });

  test.each<[string, string, unknown]>([
    ["a share above 100", "/canary_pct", { ...canary, canary_pct: 101 }],
    ["a share below 0", "/canary_pct", { ...canary, canary_pct: -1 }],
    ["a share that is not a number", "/canary_pct", { ...canary, canary_pct: "20" }],
    ["a share of nobody's", "/canary_of", { ...canary, canary_of: null }],
    ["a canary of itself", "/canary_of", { ...canary, canary_of: { agent_id: "echo", agent_version: "2" } }],
    [
      "a new canary of itself",
      "/canary_of",
      { ...canary, version: "9", canary_of: { agent_id: "echo", agent_version: "9" } },
    ],
    ["a canary of nobody", "/canary_of", { ...canary, canary_of: { agent_id: "nobody" } }],
    [
      "two stables for one canary, in a list",
      "/canary_of",
      { ...canary, canary_of: [{ agent_id: "echo" }, { agent_id: "b" }] },
    ],
    ["a shadow of nobody", "/mode", { ...echo, id: "alone", mode: "shadow" }],
    ["a price below 0", "/price/per_call_usd", { ...echo, id: "new", price: { per_call_usd: -1 } }],
    ["no capacity", "/capacity", { ...echo, id: "new", capacity: 0 }],
    ["no intents", "/intents", { ...echo, id: "new", intents: [] }],
    ["an unknown intent", "/intents/0", { ...echo, id: "new", intents: ["cook"] }],
    ["an id with a blank", "/id", { ...echo, id: "an echo" }],
    ["a field nobody knows", "/colour", { ...echo, id: "new", colour: "red" }],
    ["a role that is none", "/service_role", { ...echo, id: "new", service_role: "executor" }],
    ["a private address", "/reach/url", { ...echo, id: "new", reach: { kind: "http", url: "http://10.0.0.7/" } }],
    [
      "an address with a password",
      "/reach/url",
      { ...echo, id: "new", reach: { kind: "http", url: "http://a:b@c.example/" } },
    ],
    ["an address that is none", "/reach/url", { ...echo, id: "new", reach: { kind: "http", url: "ftp://c.example/" } }],
    [
      "a secret in clear",
      "/reach/secret",
      { ...echo, id: "new", reach: { kind: "http", url: "https://c.example/", secret: "hunter2" } },
    ],
    [
      "a variable that is not an agent's",
      "/reach/api_key",
      { ...echo, id: "new", reach: { kind: "openai", model: "m", api_key: "DATABASE_URL" } },
    ],
    ["a way nobody knows", "/reach/kind", { ...echo, id: "new", reach: { kind: "pigeon" } }],
  ])("refuses %s, naming %s", async (_, path, body) => {
    await send("POST", "", echo);

    const reply = await send("POST", "", body);

    expect(reply.status).toBe(400);
    expect(Problem.parse(await reply.json()).errors.map((error) => error.path)).toContain(path);
    expect(await listed()).toHaveLength(1);
  });

  test("refuses an id that is taken, naming it", async () => {
    await send("POST", "", echo);

    const reply = await send("POST", "", echo);

    expect(reply.status).toBe(409);
    expect(Problem.parse(await reply.json())).toMatchObject({ code: "conflict", errors: [{ path: "/id" }] });
  });

  test("refuses a stable without a version when there are two, and a canary of a canary", async () => {
    await send("POST", "", echo);
    await send("POST", "", { ...echo, version: "1b" });
    const two = await send("POST", "", canary);
    await send("POST", "", { ...canary, canary_of: { agent_id: "echo", agent_version: "1" } });
    const chain = await send("POST", "", {
      ...canary,
      version: "3",
      canary_of: { agent_id: "echo", agent_version: "2" },
    });

    expect(two.status).toBe(400);
    expect(Problem.parse(await two.json())).toMatchObject({
      detail: expect.stringContaining("echo has 2 stables (1, 1b)"),
      errors: [{ in: "body", path: "/canary_of" }],
    });
    expect(chain.status).toBe(400);
    expect(Problem.parse(await chain.json()).errors).toMatchObject([
      { path: "/canary_of", message: "echo 2 is a canary itself, and cannot be another's stable" },
    ]);
  });

  test("lets nobody in without a key, and tenants only say that their own agents live", async () => {
    const make = async (name: string, kind: string, tenant: string) => {
      const { key } = KeyCreated.parse(
        await (await post(`${door.url}/api/keys`, { name, kind, tenant }, admin)).json(),
      );
      return { authorization: `Bearer ${key}` };
    };
    const acme = await make("acme", "tenant", "acme");
    const globex = await make("globex", "tenant", "globex");
    const operator = await make("op", "operator", "local");
    await send("POST", "", { ...echo, tenants: ["acme"] }, operator);
    await send("POST", "", { ...echo, id: "everybodys" }, operator);

    expect((await send("GET", "", undefined, {})).status).toBe(401);
    expect((await send("POST", "/echo/heartbeat", undefined, {})).status).toBe(401);
    for (const [method, path, body] of [
      ["GET", "", undefined],
      ["POST", "", echo],
      ["PUT", "/echo", echo],
      ["PATCH", "/echo", { enabled: false }],
      ["DELETE", "/echo", undefined],
      ["POST", "/echo/promote", {}],
    ] as const) {
      expect((await send(method, path, body, acme)).status).toBe(403);
    }
    expect((await send("POST", "/echo/heartbeat", undefined, acme)).status).toBe(204);
    expect((await send("POST", "/echo/heartbeat", undefined, globex)).status).toBe(404);
    expect((await send("POST", "/everybodys/heartbeat", undefined, acme)).status).toBe(404);
  });
});
