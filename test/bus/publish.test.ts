import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Published, publish, publishAll } from "../../src/bus/publish.ts";
import { Failure } from "../../src/contracts/failure.ts";
import { requestFor } from "../support/bus.ts";
import { openWorld, type World } from "../support/world.ts";

describe("publishing", () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world.close());

  const put = (idempotencyKey: string, payload: unknown = { n: 1 }) =>
    publish(world.sql, requestFor({ payload, idempotencyKey }));

  test("twice with one key is once, however many ask at the same time", async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => put("twice")));

    expect(new Set(all.map(({ traceId }) => traceId)).size).toBe(1);
    expect(all.filter(({ fresh }) => fresh)).toHaveLength(1);
    const [count] = await world.sql`select count(*)::int as n from bus_messages where idempotency_key = 'twice'`;
    expect(count).toEqual({ n: 1 });
  });

  test("a large list is stored once each, whatever of it was there and whatever comes twice", async () => {
    const request = (n: number) => requestFor({ payload: { n }, idempotencyKey: `large-${n}` });
    const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => request(from + n));
    await publishAll(world.sql, numbers(0, 10));

    const known = await publishAll(world.sql, numbers(0, 500));
    const twice = await publishAll(world.sql, [...numbers(500, 800), ...numbers(500, 800).reverse()]);
    const crossing = await Promise.all([
      publishAll(world.sql, numbers(800, 1200)),
      publishAll(world.sql, numbers(800, 1200).reverse()),
    ]);

    const fresh = (all: (Published | Failure)[]) => all.filter((one) => !(one instanceof Failure) && one.fresh).length;
    expect([fresh(known), fresh(twice), fresh(crossing.flat())]).toEqual([490, 300, 400]);
    const [stored] = await world.sql`
      select count(*)::int as messages, count(distinct trace_id)::int as traces,
             (select count(*)::int from bus_queue q join bus_messages m on m.id = q.message_id
              where m.idempotency_key like 'large-%') as waiting
      from bus_messages where idempotency_key like 'large-%'`;
    expect(stored).toEqual({ messages: 1200, traces: 1200, waiting: 1200 });
  });

  test("another request under a used key is refused and changes nothing", async () => {
    const { traceId } = await put("taken", { n: 1 });

    await expect(put("taken", { n: 2 })).rejects.toMatchObject({
      code: "idempotency_conflict",
      status: 422,
      details: { first_trace_id: traceId },
    });
  });

  test("a payload over the cap is refused before anything is stored", async () => {
    await expect(put("huge", "x".repeat(262_144))).rejects.toMatchObject({ code: "payload_too_large", status: 413 });
    expect(await world.sql`select 1 from bus_traces where idempotency_key = 'huge'`).toHaveLength(0);
  });
});
