import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { publish, type Request } from "../../src/bus/publish.ts";
import { endBadly } from "../../src/store/attempts.ts";
import type { Taken } from "../../src/store/claims.ts";
import { flowsOn, promote } from "../../src/store/flows.ts";
import { extend, hold, lapsed } from "../../src/store/leases.ts";
import { step } from "../../src/store/step.ts";
import { claim } from "../support/bus.ts";
import { openWorld, type World } from "../support/world.ts";

describe("claims and leases", () => {
  let world: World;
  beforeEach(async () => {
    world = await openWorld();
  });
  afterEach(() => world.close());

  const put = (to: string, key: string = randomUUID(), rest: Partial<Request> = {}) =>
    publish(world.sql, {
      to,
      tenant: "local",
      intent: "chat",
      payload: { key },
      traceId: randomUUID(),
      idempotencyKey: key,
      traceparent: null,
      ...rest,
    });
  const take = (role: string, worker = "w1", limit = 10) =>
    claim(world.sql, { roles: [role], worker, limit, leaseMs: 10_000 });
  const keysOf = (messages: Taken[]) => messages.map(({ idempotencyKey }) => idempotencyKey);
  const only = async (role: string): Promise<Taken> => {
    const [message] = await take(role, "w1", 1);
    if (!message) throw new Error("nothing claimed");
    return message;
  };
  const retry = (message: Taken, delayMs: number) =>
    world.sql.begin((tx) =>
      endBadly(tx, [
        {
          message,
          was: "held",
          status: "retry",
          worker: "w1",
          claimedAt: null,
          delayMs,
          blamed: false,
          failure: null,
          why: null,
        },
      ]),
    );

  test("a settlement of several ends what is in a lease it names, and nothing beside it", async () => {
    for (const key of ["mine", "others"]) await put("chat.ask", key);
    const mine = await only("chat.ask");
    const [others] = await take("chat.ask", "w2", 1);
    if (!others) throw new Error("nothing claimed");

    const done = [mine, { ...others, token: mine.token }].map((message) => ({
      ...{ message, result: {}, answer: null, next: [], records: [] },
    }));
    const nothing = { packs: [], freed: [], asked: [], limit: 0, own: true, lanes: new Map(), leaseMs: 0 };
    expect(await step(world.sql, { ...nothing, worker: "w1", done })).toMatchObject({ lost: [others.id] });

    expect(await world.sql`select message_id from bus_ends`).toEqual([{ message_id: mine.id }]);
    expect(await hold(world.sql, others)).not.toBe(null);
  });

  test("messages are claimed oldest first, each by one worker only", async () => {
    for (const key of ["a", "b", "c", "d"]) await put("chat.ask", key);

    const [one, two] = await Promise.all([take("chat.ask", "w1", 2), take("chat.ask", "w2", 2)]);

    const rest = await take("chat.ask");

    expect([...keysOf(one), ...keysOf(two), ...keysOf(rest)].sort()).toEqual(["a", "b", "c", "d"]);
    expect([...one, ...two, ...rest].every(({ attempts }) => attempts === 1)).toBe(true);
    expect(await take("chat.ask")).toEqual([]);
  });

  test("messages of one claim are settled side by side, and their lease is prolonged meanwhile; it stays until they are", async () => {
    for (const key of ["a", "b"]) await put("chat.ask", key);
    const [one, two] = await take("chat.ask");
    if (!one || !two) throw new Error("two were claimed");
    expect(one.token).toBe(two.token);

    await world.sql.begin(async (settling) => {
      await hold(settling, one);
      await world.sql.begin(async (other) => {
        await other`set local lock_timeout = '2s'`; // who would have to wait fails
        expect(await hold(other, two)).not.toBeNull();
        expect(await extend(other, { worker: "w1", tokens: [one.token], leaseMs: 10_000 })).toEqual([one.token]);
      });
      await world.moveClock(11);
      expect(await world.sql.begin((tx) => lapsed(tx, ["chat.ask"], 10))).toEqual([]); // it ran out, and is in use
    });

    expect(await world.sql.begin((tx) => lapsed(tx, ["chat.ask"], 10))).toHaveLength(2);
  });

  test("messages are not claimed for a role that was not asked for", async () => {
    await put("rag.query");

    expect(await take("rag.index")).toEqual([]);
    expect(await take("rag.query")).toHaveLength(1);
  });

  test("a higher priority goes first, and tenants take turns within one", async () => {
    await world.sql`insert into tenants (id) values ('loud'), ('quiet')`;
    const shardKey = "together";
    for (const key of ["l1", "l2", "l3", "l4"]) await put("chat.ask", key, { tenant: "loud", shardKey });
    await put("chat.ask", "q1", { tenant: "quiet", shardKey });
    await put("chat.ask", "urgent", { tenant: "loud", shardKey, priority: 9 });

    expect(keysOf(await take("chat.ask", "w1", 1))).toEqual(["urgent"]);
    expect(keysOf(await take("chat.ask", "w1", 2)).sort()).toEqual(["l1", "q1"]);
    expect(keysOf(await take("chat.ask", "w1", 9))).toEqual(["l2", "l3", "l4"]);
  });

  test("a retry waits for its delay and counts its attempts", async () => {
    await put("executor.execute");
    const first = await only("executor.execute");
    await retry(first, 30_000);

    const lanes = [first.lane];
    expect(await promote(world.sql, lanes)).toEqual({ flows: [], nextMs: expect.closeTo(30_000, -3) });
    expect(await take("executor.execute")).toEqual([]);
    await world.moveClock(31);
    const flow = { lane: first.lane, priority: 5, tenant: "local" };
    expect(await promote(world.sql, lanes)).toEqual({ flows: [flow], nextMs: null });
    expect(await flowsOn(world.sql, lanes)).toEqual([flow]);
    expect(await take("executor.execute")).toMatchObject([{ id: first.id, attempts: 2 }]);
  });

  test("only the holder of the token settles, and only once", async () => {
    await put("codegen.generate");
    const held = await only("codegen.generate");
    const settle = (message: Taken, worker = "w1") =>
      step(world.sql, {
        worker,
        done: [{ message, result: {}, answer: null, next: [], records: [] }],
        packs: [],
        freed: [],
        asked: [],
        limit: 0,
        own: true,
        lanes: new Map(),
        leaseMs: 0,
      });

    expect(await settle({ ...held, token: "999999" })).toMatchObject({ taken: [], lost: [held.id] });
    expect(await settle(held, "w2")).toMatchObject({ taken: [], lost: [held.id] });
    expect(await settle(held)).toMatchObject({ taken: [], lost: [], contested: false });
    await expect(settle(held)).rejects.toMatchObject({ code: "lease_lost" });
    expect(await world.sql.begin((tx) => hold(tx, held))).toBe(null);
  });

  test("leases that ran out and were not prolonged show what they hold, without what was settled", async () => {
    for (const key of ["kept", "lost", "settled"]) {
      await put("buildtest.run", key);
    }
    const [kept] = await take("buildtest.run", "w1", 1);
    const [lost, settled] = await take("buildtest.run", "w2", 2);
    if (!kept || !lost || !settled) throw new Error("nothing claimed");
    await retry(settled, 60_000);

    await world.moveClock(8);
    const tokens = [kept.token];
    expect(await extend(world.sql, { worker: "w2", tokens, leaseMs: 10_000 })).toEqual([]);
    expect(await extend(world.sql, { worker: "w1", tokens, leaseMs: 10_000 })).toEqual(tokens);
    await world.moveClock(5);

    const gone = await world.sql.begin((tx) => lapsed(tx, ["buildtest.run"], 100));
    expect(
      keysOf(gone.map((one) => ({ ...one, seq: "0", lease: { token: one.token, ids: [one.id] }, leftMs: null }))),
    ).toEqual([lost.idempotencyKey]);
  });

  test("leases of roles that nobody here plays do not stand in the way of ours", async () => {
    for (const key of ["a", "b", "c"]) {
      await put("rag.query", key);
      await take("rag.query");
    }
    await put("chat.ask", "ours");
    await take("chat.ask");
    await world.moveClock(11);

    const gone = await world.sql.begin((tx) => lapsed(tx, ["chat.ask"], 2));

    expect(gone.map(({ idempotencyKey }) => idempotencyKey)).toEqual(["ours"]);
    expect(await world.sql`select from bus_held`).toHaveLength(3);
  });
});
