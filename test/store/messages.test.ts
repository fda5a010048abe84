import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { publish } from "../../src/bus/publish.ts";
import { claim, extend, lapsed, release, requeue } from "../../src/store/messages.ts";
import { openWorld, type World } from "../support/world.ts";

describe("the messages of the store", () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world.close());

  const put = (to: string, key: string = randomUUID()) =>
    publish(world.sql, {
      to,
      tenant: "local",
      intent: "chat",
      payload: { key },
      traceId: randomUUID(),
      idempotencyKey: key,
      traceparent: null,
    });
  const take = (role: string, worker = "w1", limit = 10) =>
    claim(world.sql, { roles: [role], worker, limit, leaseMs: 10_000 });

  test("are claimed oldest first, each by one worker only", async () => {
    for (const key of ["a", "b", "c", "d"]) await put("chat.ask", `order-${key}`);

    const [one, two] = await Promise.all([take("chat.ask", "w1", 2), take("chat.ask", "w2", 2)]);

    expect([...one, ...two].map(({ idempotencyKey }) => idempotencyKey).sort()).toEqual([
      "order-a",
      "order-b",
      "order-c",
      "order-d",
    ]);
    expect(one.every(({ attempts }) => attempts === 1)).toBe(true);
    expect(await take("chat.ask")).toEqual([]);
  });

  test("are not claimed for a role that was not asked for", async () => {
    await put("rag.query");

    expect(await take("rag.index")).toEqual([]);
    expect(await take("rag.query")).toHaveLength(1);
  });

  test("wait for their delay when they are put back, and count their attempts", async () => {
    await put("executor.execute");
    const [first] = await take("executor.execute");
    if (!first) throw new Error("nothing claimed");

    await world.sql.begin(async (tx) => {
      expect(await release(tx, first)).toBe(true);
      await requeue(tx, first, 30_000);
    });

    expect(await take("executor.execute")).toEqual([]);
    await world.moveClock(31);
    expect(await take("executor.execute")).toMatchObject([{ id: first.id, attempts: 2 }]);
  });

  test("can be let go of once, and only with the token of the claim", async () => {
    await put("codegen.generate");
    const [held] = await take("codegen.generate");
    if (!held) throw new Error("nothing claimed");

    expect(await release(world.sql, { id: held.id, token: "999999" })).toBe(false);
    expect(await release(world.sql, held)).toBe(true);
    expect(await release(world.sql, held)).toBe(false);
  });

  test("show up as lapsed when their lease ran out and was not prolonged", async () => {
    await put("buildtest.run", "kept");
    await put("buildtest.run", "lost");
    const held = await take("buildtest.run");
    const kept = held.filter(({ idempotencyKey }) => idempotencyKey === "kept");

    await world.moveClock(8);
    expect(
      await extend(
        world.sql,
        kept.map(({ token }) => token),
        10_000,
      ),
    ).toHaveLength(1);
    await world.moveClock(5);

    const gone = await lapsed(world.sql, 100);
    expect(gone.map(({ idempotencyKey }) => idempotencyKey)).toContain("lost");
    expect(gone.map(({ idempotencyKey }) => idempotencyKey)).not.toContain("kept");
  });
});
