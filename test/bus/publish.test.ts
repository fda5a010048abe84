import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { publish } from "../../src/bus/publish.ts";
import { openWorld, type World } from "../support/world.ts";

describe("publishing", () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world.close());

  const put = (idempotencyKey: string, payload: unknown = { n: 1 }) =>
    publish(world.sql, {
      to: "chat.ask",
      tenant: "local",
      intent: "chat",
      payload,
      traceId: randomUUID(),
      idempotencyKey,
      traceparent: null,
    });

  test("twice with one key is once, however many ask at the same time", async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => put("twice")));

    expect(new Set(all.map(({ traceId }) => traceId)).size).toBe(1);
    expect(all.filter(({ fresh }) => fresh)).toHaveLength(1);
    const [count] = await world.sql`select count(*)::int as n from bus_messages where idempotency_key = 'twice'`;
    expect(count).toEqual({ n: 1 });
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
