import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { publish } from "../../src/bus/publish.ts";
import { settleDone, settleFailed } from "../../src/bus/settle.ts";
import { Failure } from "../../src/contracts/failure.ts";
import { backlogs, foldDeltas } from "../../src/store/backlog.ts";
import { eventsOf } from "../../src/store/events.ts";
import { forget, type Retention, turnHistory } from "../../src/store/history.ts";
import { messageCounts } from "../../src/store/summary.ts";
import { traceOf } from "../../src/store/traces.ts";
import { claim, requestFor } from "../support/bus.ts";
import { answer } from "../support/crew.ts";
import { openWorld, type World } from "../support/world.ts";

const hour = 3_600_000;
const retention: Retention = {
  partitionMs: 24 * hour,
  historyMs: 48 * hour,
  answeredMs: 48 * hour,
  deadMs: 240 * hour,
};

describe("history", () => {
  let world: World;
  beforeEach(async () => {
    world = await openWorld();
  });
  afterEach(() => world.close());

  async function put(key: string = randomUUID()): Promise<{ traceId: string; fresh: boolean }> {
    return publish(world.sql, requestFor({ idempotencyKey: key }));
  }
  async function finishAll(): Promise<void> {
    for (const message of await claim(world.sql, { roles: ["chat.ask"], limit: 100, leaseMs: 60_000 })) {
      await settleDone(world.settling, message, { outcome: { result: {}, answer }, staged: [], records: [] });
    }
  }
  const partitions = async () => {
    const rows = await world.sql<{ number: number }[]>`select number from bus_partitions order by number`;
    return rows.map(({ number }) => number);
  };

  test("goes into a new partition after its time, and is dropped with the old one when it is old enough", async () => {
    const old = await put("old");
    await finishAll();
    await turnHistory(world.sql, retention);
    await world.moveClock(25 * 3600);
    expect(await turnHistory(world.sql, retention)).toMatchObject({ closed: [1], dropped: [] });
    const young = await put("young");
    await finishAll();
    expect((await eventsOf(world.sql, old.traceId)).map(({ kind }) => kind)).toHaveLength(3);

    await world.moveClock(49 * 3600);
    expect((await turnHistory(world.sql, retention)).dropped).toEqual([0, 1]);

    expect(await traceOf(world.sql, old.traceId, null)).toBe(null);
    expect(await traceOf(world.sql, young.traceId, null)).toMatchObject({ status: "done" });
    expect(await eventsOf(world.sql, young.traceId)).toHaveLength(3);
    expect(await world.sql`select unnest(ids) from bus_roots`).toHaveLength(1);
    expect((await put("young")).fresh).toBe(false);
  });

  test("keeps the partition of what still waits, and is never without one for what comes", async () => {
    const waiting = await put("waiting");
    const dropped: number[] = [];
    for (let day = 0; day < 8; day += 1) {
      await world.moveClock(25 * 3600);
      await put(`day-${day}`);
      dropped.push(...(await turnHistory(world.sql, retention)).dropped);
    }
    expect(dropped).toEqual([0]); // nothing was ever in it
    expect(await traceOf(world.sql, waiting.traceId, null)).toMatchObject({ status: "open" });

    await finishAll();
    expect((await turnHistory(world.sql, retention)).dropped.length).toBeGreaterThan(4);
    expect(await put("next")).toMatchObject({ fresh: true });
    expect((await partitions()).length).toBeGreaterThan(2);
  });

  test("a dead letter outlives the partition of its message", async () => {
    const { traceId } = await put("dies");
    const [message] = await claim(world.sql, { roles: ["chat.ask"], limit: 1, leaseMs: 60_000 });
    if (!message) throw new Error("nothing claimed");
    await settleFailed(world.settling, message, {
      thrown: new Failure("nothing_to_test", "no"),
      staged: [],
      records: [],
    });
    for (let day = 0; day < 4; day += 1) {
      await world.moveClock(25 * 3600);
      await put(`d${day}`);
      await finishAll();
      await turnHistory(world.sql, retention);
    }

    expect(await traceOf(world.sql, traceId, null)).toBe(null);
    const [dead] = await world.sql<{ body: { idempotency_key: string } }[]>`select body from bus_dead`;
    expect(dead?.body.idempotency_key).toBe("dies");
  });

  test("dead letters are forgotten after a time of their own, those that were replayed sooner", async () => {
    for (const key of ["left", "replayed"]) await put(key);
    for (const message of await claim(world.sql, { roles: ["chat.ask"], limit: 9, leaseMs: 60_000 })) {
      const thrown = new Failure("nothing_to_test", "no");
      await settleFailed(world.settling, message, { thrown, staged: [], records: [] });
    }
    const kept = async () => {
      await forget(world.sql, retention);
      return (
        await world.sql<{ key: string }[]>`
        select body ->> 'idempotency_key' as key from bus_dead order by message_id`
      ).map(({ key }) => key);
    };
    await world.sql`update bus_dead set replayed_at = bus_now() where body ->> 'idempotency_key' = 'replayed'`;

    expect(await kept()).toEqual(["left", "replayed"]);
    await world.moveClock(49 * 3600);
    expect(await kept()).toEqual(["left"]);
    await world.moveClock(192 * 3600);
    expect(await kept()).toEqual([]);
  });

  test("what is too old is forgotten piece by piece, until there is no more of it", async () => {
    const trace = randomUUID();
    await world.sql`
      insert into bus_keys (scope, key, message_id, trace_id, request_hash, expires_at)
      select 'old', n, 1, ${trace}, '', bus_now() - interval '1 day' from generate_series(1, 60000) n`;

    expect(await forget(world.sql, retention)).toBe(true);
    for (let turn = 0; turn < 9 && (await forget(world.sql, retention)); turn += 1);

    expect(await world.sql`select from bus_keys`).toHaveLength(0);
    expect(await forget(world.sql, retention)).toBe(false);
  });

  test("a join whose trace has ended keeps no partition", async () => {
    const { traceId } = await put("joins");
    const [message] = await claim(world.sql, { roles: ["chat.ask"], limit: 1, leaseMs: 60_000 });
    if (!message) throw new Error("nothing claimed");
    await settleDone(world.settling, message, { outcome: { result: {}, answer }, staged: [], records: [] });
    await world.sql`insert into bus_joins (parent_id, open, next) values (${message.id}, 1, '{}')`;
    for (let day = 0; day < 4; day += 1) {
      await world.moveClock(25 * 3600);
      await put(`d${day}`);
      await finishAll();
      await turnHistory(world.sql, retention);
    }

    expect(await traceOf(world.sql, traceId, null)).toBe(null);
    expect(await world.sql`select from bus_joins`).toHaveLength(0);
  });

  test("keys are forgotten after their own time, and may be used again", async () => {
    const first = await put("again");
    await world.moveClock(6 * 86_400);
    await forget(world.sql, retention);
    expect(await put("again")).toEqual({ traceId: first.traceId, fresh: false });

    await world.moveClock(2 * 86_400);
    const second = await put("again"); // not swept yet, but its time is over
    expect(second.fresh).toBe(true);
    await world.moveClock(8 * 86_400);
    await forget(world.sql, retention);
    expect(await world.sql`select from bus_keys`).toHaveLength(0);
  });

  test("counts are exact whenever they are folded", async () => {
    const sight = async () => [await backlogs(world.sql), await messageCounts(world.sql, 3600)];
    for (let n = 0; n < 5; n += 1) await put();
    await claim(world.sql, { roles: ["chat.ask"], limit: 2, leaseMs: 60_000 });
    const before = await sight();
    expect(before).toMatchObject([[{ role: "ask", queued: 3, due: 3, claimed: 2 }], { accepted: 5, done: 0 }]);

    await Promise.all([foldDeltas(world.sql), foldDeltas(world.sql), foldDeltas(world.sql)]);
    expect(await sight()).toEqual(before);
    await finishAll();
    await foldDeltas(world.sql);
    expect(await sight()).toMatchObject([[{ queued: 0, claimed: 2 }], { accepted: 5, done: 3 }]);
    expect(await world.sql`select from bus_deltas`).toHaveLength(0);
  });
});
