import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { cancelTrace } from "../../src/bus/cancel.ts";
import { giveBack, settleDone, settleFailed, settleLapsed } from "../../src/bus/settle.ts";
import { Failure } from "../../src/contracts/failure.ts";
import type { Taken } from "../../src/store/claims.ts";
import { envelopesOf } from "../../src/store/traces.ts";
import { claim, declare } from "../support/bus.ts";
import { answer, handler, openCrew } from "../support/crew.ts";
import { openWorld, type World } from "../support/world.ts";

describe("a trace that was called off while work on it was under way", () => {
  let world: World;
  beforeEach(async () => {
    world = await openWorld();
    await declare(world.sql, "chat.ask", "rag.query", "chat.gather");
  });
  afterEach(() => world.close());

  const left = { staged: [], records: [] };
  async function heldAndCalledOff(): Promise<Taken> {
    const traceId = await openCrew(world).ask("chat.ask");
    const [message] = await claim(world.sql, { roles: ["chat.ask"], limit: 1, leaseMs: 10_000 });
    if (!message) throw new Error("nothing was taken");
    await cancelTrace(world.sql, { traceId, tenant: null, by: "me" });
    return message;
  }
  const handlers = [
    handler("chat.ask", async () => ({ result: 1, answer }), {
      onDead: () => ({ to: "rag.query", payload: {} }),
    }),
  ];
  const statuses = async ({ traceId }: Taken) => (await envelopesOf(world.sql, traceId)).map(({ status }) => status);

  test.each<[string, (message: Taken) => Promise<unknown>]>([
    [
      "fails and could be tried again",
      (message) => settleFailed(world.settling, message, { thrown: new Failure("agent_failed", "no"), ...left }),
    ],
    [
      "fails for good and has a fallback",
      (message) =>
        settleFailed({ ...world.settling, handlers }, message, { thrown: new Failure("model_refused", "no"), ...left }),
    ],
    ["is given back by a worker that stops", (message) => giveBack(world.settling, message)],
    [
      "loses its worker",
      async () => {
        await world.moveClock(11);
        await settleLapsed({ ...world.settling, handlers });
      },
    ],
  ])("is tried no more: its message %s and is cancelled", async (_, end) => {
    const message = await heldAndCalledOff();

    await end(message);

    expect(await statuses(message)).toEqual(["cancelled"]);
    expect(await world.sql`select from bus_queue`).toHaveLength(0);
    expect(await world.sql`select from bus_dead`).toHaveLength(0);
  });

  test("opens no join and no wait, and keeps none", async () => {
    const message = await heldAndCalledOff();
    const next = { to: "rag.query", payload: {} };
    const outcome = { result: 1, next: [next], join: { to: "chat.gather", payload: {} } };
    await settleDone(world.settling, message, { outcome, ...left });
    expect(await statuses(message)).toEqual(["done"]);
    expect(await world.sql`select from bus_joins`).toHaveLength(0);

    const asking = await heldAndCalledOff();
    const wait = { kind: "approval", asked: {}, expiresMs: 60_000, next };
    await settleDone(world.settling, asking, { outcome: { result: 1, wait }, ...left });
    expect(await world.sql`select from bus_waits where answered_at is null`).toHaveLength(0);
  });

  test("closes the joins it had opened", async () => {
    const traceId = await openCrew(world).ask("chat.ask");
    const [message] = await claim(world.sql, { roles: ["chat.ask"], limit: 1, leaseMs: 10_000 });
    if (!message) throw new Error("nothing was taken");
    const next = ["a", "b"].map((key) => ({ to: "rag.query", payload: {}, key }));
    const outcome = { result: 1, next, join: { to: "chat.gather", payload: {} } };
    await settleDone(world.settling, message, { outcome, ...left });
    const [branch] = await claim(world.sql, { roles: ["rag.query"], limit: 1, leaseMs: 10_000 });
    if (!branch) throw new Error("nothing was taken");

    await cancelTrace(world.sql, { traceId, tenant: null, by: "me" });
    await settleDone(world.settling, branch, { outcome: { result: 1 }, ...left });

    expect(await world.sql`select from bus_joins`).toHaveLength(0);
    expect((await statuses(message)).sort()).toEqual(["cancelled", "done", "done"]);
  });
});
