import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { publish, publishAll, type Request } from "../../src/bus/publish.ts";
import { latestTraces, type TracesWish } from "../../src/store/traces.ts";
import { requestFor } from "../support/bus.ts";
import { openWorld, type World } from "../support/world.ts";

describe("the latest traces of a tenant", () => {
  let world: World;
  beforeEach(async () => {
    world = await openWorld();
    await world.sql`insert into tenants (id) values ('acme'), ('rare')`;
  });
  afterEach(() => world.close());

  const request = (tenant: string, own: Partial<Request> = {}) => requestFor({ tenant, ...own });
  const list = (count: number) =>
    Array.from({ length: count }, (_, n) =>
      request(n === 30 ? "rare" : n % 2 ? "local" : "acme", { priority: n % 3, delayMs: n % 5 === 0 ? 60_000 : 0 }),
    );
  const wish = (own: Partial<TracesWish>): TracesWish => {
    return { tenant: "acme", status: null, intent: null, before: null, limit: 1000, ...own };
  };
  const idsOf = async (own: Partial<TracesWish>) =>
    (await latestTraces(world.sql, wish(own))).map(({ root_id }) => root_id);
  const rootsOf = async (tenant: string) => {
    const rows = await world.sql<{ id: string }[]>`
      select id from bus_messages where tenant = ${tenant} and parent_id is null order by id desc`;
    return rows.map(({ id }) => id);
  };

  test("are all of them, latest first, whoever published beside, one or many at a time, and over blocks of ids", async () => {
    await world.sql`select setval('bus_ids', ((16777216 >> 10) + 1) * 1024 - 40)`; // the first list begins in one block
    await Promise.all([publishAll(world.sql, list(120)), publishAll(world.sql, list(90))]);
    for (const tenant of ["acme", "rare", "acme"]) await publish(world.sql, request(tenant));
    await Promise.all([publishAll(world.sql, list(300)), publish(world.sql, request("acme"))]);
    for (const tenant of ["acme", "rare", "local"]) {
      const all = await rootsOf(tenant);
      expect(all.length).toBeGreaterThan(3);
      expect(await idsOf({ tenant })).toEqual(all);
      for (const at of [1, Math.floor(all.length / 2), all.length - 1]) {
        expect(await idsOf({ tenant, before: all[at] ?? null, limit: 7 })).toEqual(all.slice(at + 1, at + 8));
      }
    }
  });

  test("are those of a kind, as far back as it takes", async () => {
    await publish(world.sql, request("acme", { intent: "rag.answer" }));
    await publishAll(world.sql, list(250));
    expect(await idsOf({ intent: "rag.answer", limit: 5 })).toEqual((await rootsOf("acme")).slice(-1));
    expect(await idsOf({ status: "done" })).toEqual([]);
    expect(await idsOf({ tenant: "nobody" })).toEqual([]);
  });

  test("are not those that were published before", async () => {
    const [first, second] = [request("rare"), request("rare")];
    await publish(world.sql, first);
    await publishAll(world.sql, [second, { ...first, traceId: randomUUID() }, request("acme")]);
    expect(await idsOf({ tenant: "rare" })).toEqual(await rootsOf("rare"));
    expect(await idsOf({ tenant: "rare" })).toHaveLength(2);
  });
});
