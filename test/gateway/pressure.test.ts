import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import type { LimitsPolicy } from "../../src/contracts/policy.ts";
import { type Door, openDoor, post, shippedLimits, take } from "./door.ts";

const Told = z.object({ code: z.string(), limit: z.string(), retry_after_ms: z.number() });

describe("back-pressure at the door", () => {
  let door: Door;
  let limits: LimitsPolicy = shippedLimits;
  beforeAll(async () => {
    door = await openDoor({ limits: () => limits });
  });
  beforeEach(async () => {
    limits = shippedLimits;
    await door.world.sql.unsafe(
      "truncate bus_messages, bus_ready, bus_delayed, bus_keys, bus_deltas, bus_backlog, rate_buckets, role_buckets",
    );
  });
  afterAll(() => door.close());

  const chat = (text: string, headers?: Record<string, string>) =>
    post(`${door.url}/api/chat`, { message: text }, headers);
  const set = (role: object, tenant: object) => {
    const { roles, tenants } = shippedLimits;
    limits = {
      ...shippedLimits,
      roles: { default: { ...roles.default, ...role }, keys: {} },
      tenants: { ...tenants, keys: { local: tenant } },
    };
  };
  const stored = async () => {
    const [row] = await door.world.sql<{ n: number }[]>`
      select ((select count(*) from bus_messages) + (select count(*) from bus_keys)
              + (select count(*) from bus_ready))::int as n`;
    return row?.n;
  };

  test.each([
    ["lane is full", "lane", () => set({ max_waiting: 2 }, {})],
    ["tenant has too much waiting", "tenant", () => set({}, { max_waiting: 2 })],
    ["role is asked too fast", "role_rate", () => set({ rate: { per_s: 0.1, burst: 2 } }, { rate: null })],
    ["tenant comes too fast", "rate", () => set({}, { rate: { per_s: 0.1, burst: 2 } })],
  ])("refuses when a %s: 429, when to come again, and nothing is written", async (_, limit, narrow) => {
    narrow();
    expect((await chat("one")).status).toBe(202);
    expect((await chat("two")).status).toBe(202);
    const before = await stored();

    const refused = await chat("three", { "idempotency-key": "third" });

    expect(refused.status).toBe(429);
    const { code, limit: which, retry_after_ms } = Told.parse(await refused.json());
    expect({ code, which }).toEqual({ code: "too_many_requests", which: limit });
    expect(refused.headers.get("retry-after")).toBe(String(Math.ceil(retry_after_ms / 1000)));
    expect(await stored()).toBe(before);
  });

  test("answers a request it has let in before, however full it is now", async () => {
    set({ max_waiting: 1 }, { rate: { per_s: 0.1, burst: 1 } });
    const first = await chat("again", { "idempotency-key": "same" });
    const second = await chat("again", { "idempotency-key": "same" });

    expect(second.status).toBe(202);
    expect(second.headers.get("idempotency-replayed")).toBe("true");
    expect(await second.json()).toEqual(await first.json());
  });

  test("lets in again what fits once a message was taken, or a token has come", async () => {
    set({ max_waiting: 1 }, { rate: { per_s: 0.1, burst: 1 } });
    expect((await chat("one")).status).toBe(202);
    expect((await chat("two")).status).toBe(429);
    await take(door.world, "chat.ask");
    const early = await chat("two");
    expect(await early.json()).toMatchObject({ limit: "rate" });

    await door.world.moveClock(11);
    expect((await chat("two")).status).toBe(202);
  });

  test("who is refused by a role keeps what the tenant may still send", async () => {
    set({ rate: { per_s: 0.1, burst: 1 } }, { rate: { per_s: 0.1, burst: 2 } });
    expect((await chat("one")).status).toBe(202);
    expect(Told.parse(await (await chat("two")).json()).limit).toBe("role_rate");
    expect(Told.parse(await (await chat("three")).json()).limit).toBe("role_rate");

    set({}, { rate: { per_s: 0.1, burst: 2 } });
    expect((await chat("four")).status).toBe(202);
    expect((await chat("five")).status).toBe(429);
  });

  test("lets a tenant with a key of its own do what the default forbids", async () => {
    limits = {
      ...shippedLimits,
      roles: shippedLimits.roles,
      tenants: {
        default: { ...shippedLimits.tenants.default, rate: { per_s: 0.1, burst: 1 } },
        keys: { local: { rate: null } },
      },
    };
    for (const text of ["one", "two", "three"]) expect((await chat(text)).status).toBe(202);
  });
});
