import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import type { AnyHandler } from "../../src/bus/handler.ts";
import { publishAll } from "../../src/bus/publish.ts";
import { startWorker, type Worker } from "../../src/bus/worker.ts";
import { Failure } from "../../src/contracts/failure.ts";
import type { LimitsPolicy } from "../../src/contracts/policy.ts";
import { runningCaps } from "../../src/rules/quota.ts";
import type { Cap } from "../../src/store/running.ts";
import { claimUnder, runningNow } from "../../src/store/running.ts";
import { claim, declare, requestFor } from "../support/bus.ts";
import { openWorld, type World } from "../support/world.ts";

const answer = { text: "well", verdict: null, citations: [], provider: null, replay: false };
const none = { max_waiting: null, max_running: null, rate: null };

describe("how many messages may be in hand at one time", () => {
  let world: World;
  let workers: Worker[] = [];
  let inHand: { tenant: string; role: string; go: () => void }[] = [];
  let most = 0; // ever in hand at one time
  let thrown: Failure | null = null; // what the next to go throws
  beforeEach(async () => {
    world = await openWorld();
    await world.sql`insert into tenants (id) values ('acme'), ('bell')`;
    inHand = [];
    most = 0;
    thrown = null;
  });
  afterEach(async () => {
    await Promise.all(workers.map((worker) => worker.stop(0)));
    workers = [];
    await world.close();
  });

  const handlerOf = (role: string): AnyHandler => ({
    role,
    accepts: z.unknown(),
    answers: z.unknown(),
    async handle({ tenant }) {
      await new Promise<void>((go) => {
        inHand.push({ tenant, role, go });
        most = Math.max(most, inHand.length);
      });
      if (thrown) throw thrown;
      return { result: null, answer };
    },
  });
  async function start(limits: Partial<LimitsPolicy>, roles = ["chat.ask"]): Promise<void> {
    const { now, models, sandbox } = world.tools;
    const policy = {
      roles: { default: none, keys: {} },
      tenants: { default: none, keys: {} },
      ...limits,
    } as LimitsPolicy;
    const worker = await startWorker({
      ...world.settling,
      name: `worker-${workers.length}`,
      handlers: roles.map(handlerOf),
      concurrency: 100,
      caps: () => (whose) => runningCaps(policy, whose),
      leaseMs: 60_000,
      pollMs: 50,
      attemptMs: 60_000,
      log: world.log,
      tools: { now, models, sandbox },
    });
    workers.push(worker);
  }
  const put = (count: number, { to = "chat.ask", tenant = "acme" } = {}) =>
    publishAll(
      world.sql,
      Array.from({ length: count }, () => requestFor({ to, tenant })),
    );
  const letGo = (count = inHand.length) => {
    for (const { go } of inHand.splice(0, count)) go();
  };
  const settled = async () => {
    const [row] = await world.sql<{ n: number }[]>`select count(*)::int as n from bus_ends`;
    return row?.n ?? 0;
  };
  const soon = { timeout: 20_000, interval: 10 };

  test("of a role, two workers together never have more than may be, and all are done in the end", async () => {
    const limits = { roles: { default: none, keys: { "chat.ask": { max_running: 3 } } } };
    await start(limits);
    await start(limits);
    await put(10, { tenant: "acme" });
    await put(10, { tenant: "bell" });

    for (let done = 0; done < 20; ) {
      await expect.poll(() => inHand.length, soon).toBe(Math.min(3, 20 - done));
      done += 1;
      letGo(1);
    }
    await expect.poll(settled, soon).toBe(20);
    expect(most).toBe(3);
  });

  test("of a tenant, roles count together; other tenants are not held up", async () => {
    await start({ tenants: { default: none, keys: { acme: { max_running: 2 } } } }, ["chat.ask", "rag.query"]);
    await put(5, { to: "chat.ask" });
    await put(5, { to: "rag.query" });
    await put(7, { to: "rag.query", tenant: "bell" });

    const of = (tenant: string) => inHand.filter((one) => one.tenant === tenant).length;
    await expect.poll(() => of("bell"), soon).toBe(7);
    await expect.poll(() => of("acme"), soon).toBe(2);
    while ((await settled()) < 17) {
      await expect.poll(async () => inHand.length > 0 || (await settled()) === 17, soon).toBe(true);
      expect(of("acme")).toBeLessThanOrEqual(2);
      letGo();
    }
    expect(await settled()).toBe(17);
  });

  test("one that fails makes room, and is tried again within the limit", async () => {
    await start({ roles: { default: { ...none, max_running: 1 }, keys: {} } });
    await put(2);
    thrown = new Failure("model_unreachable", "gone");
    await expect.poll(() => inHand.length, soon).toBe(1);
    letGo();
    await expect.poll(() => inHand.length, soon).toBe(1);
    thrown = null;
    letGo();
    await world.moveClock(60);
    await expect.poll(() => inHand.length, soon).toBe(1);
    letGo();
    await expect.poll(settled, soon).toBe(2);
    expect(most).toBe(1);
  });

  test("what a dead worker had counts until its lease runs out", async () => {
    await declare(world.sql, "chat.ask");
    await put(2);
    const caps: Cap[] = [{ name: "role chat.ask", most: 1 }];
    const flows = await world.sql<{ lane: number; priority: number; tenant: string }[]>`
      select distinct lane, priority, tenant from bus_ready`;
    const lanes = await world.sql<{ id: number; service: string; role: string; shard: number }[]>`
      select id, service, role, shard from bus_lanes`;
    const wanted = {
      worker: "dead",
      asked: flows.map((flow) => ({ ...flow, most: 5, rows: 5, low: "0" })),
      limit: 5,
      own: false,
      lanes: new Map(lanes.map((lane) => [lane.id, lane])),
      leaseMs: 30_000,
    };
    const first = await claimUnder(world.sql, caps, wanted);
    expect(first).toMatchObject({ full: true, leased: 1 });
    expect(await claimUnder(world.sql, caps, wanted)).toMatchObject({ full: true, leased: 0 });

    await world.moveClock(31);
    await start({ roles: { default: { ...none, max_running: 1 }, keys: {} } });
    await expect.poll(() => inHand.length, soon).toBe(1);
    letGo();
    await expect.poll(settled, soon).toBeGreaterThanOrEqual(1);
    await world.moveClock(60);
    await expect.poll(() => inHand.length, soon).toBe(1);
    letGo();
    await expect.poll(settled, soon).toBe(2);
    expect(most).toBe(1);
  });

  test("claims side by side pass no cap, whatever the caps are", async () => {
    await declare(world.sql, "chat.ask");
    await put(30, { tenant: "acme" });
    await put(30, { tenant: "bell" });
    const lanes = await world.sql<{ id: number; service: string; role: string; shard: number }[]>`
      select id, service, role, shard from bus_lanes`;
    const wanted = (tenant: string, limit: number) => ({
      worker: "w",
      asked: lanes.map(({ id }) => ({ lane: id, priority: 5, tenant, most: limit, rows: limit, low: "0" })),
      limit,
      own: false,
      lanes: new Map(lanes.map((lane) => [lane.id, lane])),
      leaseMs: 30_000,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.record({ role: fc.integer({ min: 1, max: 12 }), acme: fc.integer({ min: 1, max: 8 }) }),
        fc.array(fc.tuple(fc.constantFrom("acme", "bell"), fc.integer({ min: 1, max: 6 })), {
          minLength: 1,
          maxLength: 8,
        }),
        async (caps, asks) => {
          await world.sql.unsafe("begin; truncate bus_leases, bus_running; commit");
          const role = { name: "role chat.ask", most: caps.role };
          const acme = { name: "tenant acme", most: caps.acme };
          await Promise.all(
            asks.map(([tenant, limit]) =>
              claimUnder(world.sql, tenant === "acme" ? [role, acme] : [role], wanted(tenant, limit)),
            ),
          );
          const running = await runningNow(world.sql, [role.name, acme.name]);
          expect(running.get(role.name) ?? 0).toBeLessThanOrEqual(caps.role);
          expect(running.get(acme.name) ?? 0).toBeLessThanOrEqual(caps.acme);
          const wished = asks.reduce((sum, [, limit]) => sum + limit, 0);
          const left = await world.sql<
            { n: number }[]
          >`select coalesce(sum(cardinality(message_ids)), 0)::int as n from bus_ready`;
          if ((left[0]?.n ?? 0) > 30) expect(running.get(role.name) ?? 0).toBeGreaterThan(0);
          expect(running.get(role.name) ?? 0).toBeLessThanOrEqual(wished);
        },
      ),
      { numRuns: 12 },
    );
  });

  test("what has no limit leaves nothing behind", async () => {
    await declare(world.sql, "chat.ask");
    await put(3);
    expect(await claim(world.sql, { roles: ["chat.ask"], limit: 10, leaseMs: 1000 })).toHaveLength(3);
    expect(await world.sql`select from bus_running`).toHaveLength(0);
  });
});
