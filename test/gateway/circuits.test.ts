import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Door, openDoor, post } from "./door.ts";

describe("/api/circuits", () => {
  let door: Door;
  beforeAll(async () => {
    door = await openDoor();
  });
  afterAll(() => door.close());

  const at = (path = "") => `${door.url}/api/circuits${path}`;

  test("are opened and closed by hand, with a reason that is kept", async () => {
    const opened = await post(at("/chat.ask.1/open"), { reason: "the vendor is down" });
    expect(await opened.json()).toMatchObject({
      circuits: [{ key: "chat.ask.1", state: "open", by_hand: true, because: expect.stringContaining("vendor") }],
    });
    expect(await (await fetch(at())).json()).toMatchObject({ circuits: [{ key: "chat.ask.1" }] });

    expect(await (await post(at("/chat.ask.1/close"), { reason: "it is back" })).json()).toEqual({ circuits: [] });
    const events = await door.world.sql`select kind from bus_facts where kind like 'circuit%' order by id`;
    expect(events).toEqual([{ kind: "circuit_opened" }, { kind: "circuit_closed" }]);
  });

  test("are refused for a lane that is not there, a key that is none, and without a reason", async () => {
    expect((await post(at("/chat.ask.99/open"), { reason: "x" })).status).toBe(404);
    expect((await post(at("/chat/open"), { reason: "x" })).status).toBe(400);
    expect((await post(at("/chat.ask.1/open"), {})).status).toBe(400);
  });

  test("are for operators", async () => {
    const locked = await openDoor();
    await locked.world.sql`
      insert into access_keys (name, kind, tenant, sha256) values ('k', 'tenant', 'local', sha256('dag_k'))`;
    expect((await fetch(`${locked.url}/api/circuits`)).status).toBe(401);
    expect((await post(`${locked.url}/api/circuits/chat.ask.1/open`, { reason: "x" })).status).toBe(401);
    await locked.close();
  });
});
