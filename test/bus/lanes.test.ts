import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { publish } from "../../src/bus/publish.ts";
import { forgetRoles } from "../../src/bus/roles.ts";
import { Failure } from "../../src/contracts/failure.ts";
import { balanceLanes, declareRoles } from "../../src/store/lanes.ts";
import { beat } from "../../src/store/workers.ts";
import { claim, declare } from "../support/bus.ts";
import { answer, gate, handler, openCrew } from "../support/crew.ts";
import { openWorld, type World } from "../support/world.ts";

describe("shards", () => {
  let world: World;
  let crew: ReturnType<typeof openCrew>;
  beforeEach(async () => {
    world = await openWorld();
    crew = openCrew(world);
  });
  afterEach(async () => {
    await crew.stop();
    await world.close();
  });

  const share = async (worker: string, roles = ["chat.ask"]) => {
    await beat(world.sql, { id: worker, kind: "worker", roles, facts: {} });
    const lanes = await balanceLanes(world.sql, { worker, roles, leaseMs: 10_000 });
    return lanes.filter(({ mine }) => mine).map(({ shard }) => shard);
  };

  test("are shared out among the workers that play the role, as they come, go and die", async () => {
    expect(await share("one")).toEqual([0, 1, 2, 3]);
    expect(await share("two")).toEqual([]); // taken, until the first has heard
    expect(await share("one")).toEqual([0, 1]);
    expect(await share("two")).toEqual([2, 3]);

    await world.moveClock(16); // nobody has heard from them
    expect(await share("three")).toEqual([0, 1, 2, 3]);
    expect(await share("two")).toEqual([]);
    expect(await share("three")).toEqual([0, 1]);
    expect(await share("two")).toEqual([2, 3]);
  });

  test("of one role are not for those who play another", async () => {
    expect(await share("one", ["chat.ask"])).toHaveLength(4);
    expect(await share("two", ["rag.query"])).toHaveLength(4);
    expect(await share("one", ["chat.ask"])).toHaveLength(4);
  });

  test("are refused by the database when the role does not have them", async () => {
    await declareRoles(world.sql, [{ role: "chat.ask", shards: 2, ordered: false }]);
    forgetRoles(world.sql);
    const put = (shard: number) => crew.ask("chat.ask", {}, { shard });

    await put(1);
    await expect(put(2)).rejects.toMatchObject({ code: "shard_out_of_range" });
    await expect(put(-1)).rejects.toMatchObject({ code: "shard_out_of_range" });
    await expect(
      world.sql`
        insert into bus_messages (id, lane, service, role, shard, tenant, intent, trace_id, root_id, idempotency_key, payload)
        select nextval('bus_ids'), (select id from bus_lanes where role = 'ask' and shard = 9), 'chat', 'ask', 9, 'local',
               'chat', gen_random_uuid(), 1, 'k', '{}'`,
    ).rejects.toMatchObject({ code: "23502", column: "lane" });
  });

  test("can become fewer or more while messages wait: none is lost, and a publisher that looked before finds its way", async () => {
    await world.sql`insert into tenants (id) select 'tenant-' || n from generate_series(1, 9) n`;
    const putAll = async (round: number) => {
      for (let n = 1; n < 10; n += 1)
        await crew.ask("chat.ask", {}, { tenant: `tenant-${n}`, idempotencyKey: `${round}-${n}` });
    };
    await putAll(1);
    await declareRoles(world.sql, [{ role: "chat.ask", shards: 1, ordered: false }]);
    await putAll(2);
    await declareRoles(world.sql, [{ role: "chat.ask", shards: 8, ordered: false }]);
    await putAll(3);

    const taken = await claim(world.sql, { roles: ["chat.ask"], limit: 100, leaseMs: 60_000 });

    expect(taken).toHaveLength(27);
    expect(
      new Set(taken.filter(({ idempotencyKey }) => idempotencyKey.startsWith("2-")).map(({ shard }) => shard)),
    ).toEqual(new Set([0]));
  });

  test("that nobody looks at first are looked at by everybody", async () => {
    await crew.start([handler("chat.ask", async () => ({ result: 1, answer }))], { pollMs: 50 });
    await world.sql`update bus_lanes set worker = 'somebody-else', until = bus_now() + interval '1 hour'`;
    await world.sql`insert into bus_workers (id, kind, roles) values ('somebody-else', 'worker', '{chat.ask}')`;

    await crew.ended(await crew.ask("chat.ask")).toBe("done");
  });
});

describe("an ordered role", () => {
  let world: World;
  let crew: ReturnType<typeof openCrew>;
  beforeEach(async () => {
    world = await openWorld();
    crew = openCrew(world);
  });
  afterEach(async () => {
    await crew.stop();
    await world.close();
  });

  test("takes the messages of a key one at a time, in the order of publishing, whatever fails and whoever works", async () => {
    const seen: string[] = [];
    let under = 0;
    let most = 0;
    const say = handler(
      "chat.say",
      async ({ payload, attempts }) => {
        under += 1;
        most = Math.max(most, under);
        await new Promise((resolve) => setImmediate(resolve));
        under -= 1;
        if (payload === "3" && attempts === 1) throw new Failure("agent_failed", "try again");
        if (payload === "5") throw new Failure("model_refused", "never");
        seen.push(String(payload));
        return { result: 1, answer };
      },
      { ordered: true },
    );
    const policy = () => ({ default: { max_attempts: 3, base_ms: 20, factor: 1, cap_ms: 20, jitter: 0 }, keys: {} });
    await crew.start([say], { policy });
    await crew.start([say], { policy });

    const traces: string[] = [];
    for (let n = 1; n < 9; n += 1) {
      if (n === 4) await declareRoles(world.sql, [{ role: "chat.say", shards: 7, ordered: true }]);
      traces.push(await crew.ask("chat.say", String(n), { shardKey: "conversation" }));
    }

    for (const [n, traceId] of traces.entries()) await crew.ended(traceId).toBe(n === 4 ? "failed" : "done");
    expect(seen).toEqual(["1", "2", "3", "4", "6", "7", "8"]);
    expect(most).toBe(1);
    expect(await world.sql`select from bus_lines`).toHaveLength(0);
  });

  test("lets other keys pass", async () => {
    const { open, opened } = gate();
    await crew.start([
      handler(
        "chat.say",
        async ({ payload }) => {
          if (payload === "slow") await opened;
          return { result: 1, answer };
        },
        { ordered: true },
      ),
    ]);

    const slow = await crew.ask("chat.say", "slow", { shardKey: "a" });
    const behind = await crew.ask("chat.say", "quick", { shardKey: "a" });
    await crew.ended(await crew.ask("chat.say", "quick", { shardKey: "b" })).toBe("done");
    expect(await crew.kinds(behind)).toEqual(["gateway_accepted"]);
    open();

    await crew.ended(slow).toBe("done");
    await crew.ended(behind).toBe("done");
  });

  test("that was not one before keeps the order of what comes from now on, and as long as somebody stands in line", async () => {
    const ready = async () => (await world.sql`select unnest(message_ids) from bus_ready`).length;
    const say = (n: number) => crew.ask("chat.say", n, { shardKey: "a", idempotencyKey: `k${n}` });
    const declared = (ordered: boolean) => declareRoles(world.sql, [{ role: "chat.say", shards: 4, ordered }]);
    await declared(false);
    await say(1);
    await declared(true);
    for (const n of [2, 3, 4]) await say(n);
    expect(await ready()).toBe(2);

    await declared(false);
    await say(5);

    expect(await ready()).toBe(2);
  });

  test("keeps a message that comes later for its time, when the one before it has ended", async () => {
    await crew.start([handler("chat.say", async () => ({ result: 1, answer }), { ordered: true })]);
    const { open, opened } = gate();
    await crew.start([handler("chat.wait", async () => opened.then(() => ({ result: 1, answer })), { ordered: true })]);
    const first = await crew.ask("chat.wait", 1, { shardKey: "a" });
    const later = await crew.ask("chat.wait", 2, { shardKey: "a", delayMs: 60_000 });
    const behind = await crew.ask("chat.wait", 3, { shardKey: "a" });
    open();
    await crew.ended(first).toBe("done");
    await crew.ended(await crew.ask("chat.say")).toBe("done");
    expect([await crew.kinds(later), await crew.kinds(behind)]).toEqual([["gateway_accepted"], ["gateway_accepted"]]);

    await world.moveClock(61);

    await crew.ended(later).toBe("done");
    await crew.ended(behind).toBe("done");
  });

  test("agrees who is first when many publish at one time", async () => {
    await declareRoles(world.sql, [{ role: "chat.say", shards: 4, ordered: true }]);
    await Promise.all(
      Array.from({ length: 20 }, (_, n) => crew.ask("chat.say", n, { shardKey: "a", idempotencyKey: `k${n}` })),
    );

    expect(await world.sql`select from bus_ready`).toHaveLength(1);
    expect(await world.sql`select from bus_lines`).toHaveLength(20);
  });
});

describe("what is refused", () => {
  let world: World;
  beforeEach(async () => {
    world = await openWorld();
    await declare(world.sql, "chat.ask");
  });
  afterEach(() => world.close());

  const request = {
    to: "chat.ask",
    tenant: "local",
    intent: "chat",
    payload: {},
    traceId: "6f0f7d5c-5a3e-4a55-9d7e-0d5b3b7b7b01",
    idempotencyKey: "k",
    traceparent: null,
  } as const;
  const nothing = async () => {
    const [row] = await world.sql`
      select (select count(*) from bus_messages) + (select count(*) from bus_keys) + (select count(*) from bus_ready)
             + (select count(*) from bus_deltas) as n`;
    return row;
  };

  test.each([
    ["a role that nobody plays", { to: "chat.sing" }, "unknown_role"],
    ["a tenant that is not there", { tenant: "nobody" }, "unknown_tenant"],
    ["a shard it does not have", { shard: 4 }, "shard_out_of_range"],
    ["half a shard", { shard: 0.5 }, "shard_out_of_range"],
    ["a priority above 9", { priority: 10 }, "priority_out_of_range"],
    ["a priority below 0", { priority: -1 }, "priority_out_of_range"],
    ["a time to live that is over", { ttlMs: 0 }, "ttl_out_of_range"],
    ["a time to live that is no number", { ttlMs: Number.NaN }, "ttl_out_of_range"],
    ["NUL in a text", { payload: { deep: ["a\0b"] } }, "text_not_storable"],
    ["half of a surrogate pair", { payload: { text: "a\ud800b" } }, "text_not_storable"],
    ["NUL in a name", { payload: { "a\0b": 1 } }, "text_not_storable"],
    ["a payload over the cap", { payload: "x".repeat(262_143) }, "payload_too_large"],
    ["a key that is too long", { idempotencyKey: "k".repeat(221) }, "invalid_message"],
    ["a delay that is no number", { delayMs: Number.NaN }, "delay_out_of_range"],
    ["a delay of more than a year", { delayMs: 1e18 }, "delay_out_of_range"],
    ["a delay into the past", { delayMs: -1 }, "delay_out_of_range"],
    ["a shard key with NUL", { shardKey: "a\0b" }, "text_not_storable"],
    ["a shard key with half of a surrogate pair", { shardKey: "a\ud800" }, "text_not_storable"],
    ["a shard key that is too long", { shardKey: "k".repeat(513) }, "invalid_message"],
    ["a shard key that is empty", { shardKey: "" }, "invalid_message"],
  ])("%s is refused with its own code, and nothing is written", async (_, change, code) => {
    await expect(publish(world.sql, { ...request, ...change })).rejects.toMatchObject({ code });
    expect(await nothing()).toEqual({ n: "0" });
  });

  test("attempts and priorities out of range are refused by the tables that hold what waits", async () => {
    const lane = world.sql`select id from bus_lanes where role = 'ask' limit 1`;
    const [{ id } = { id: 0 }] = (await lane) as { id: number }[];
    const ready = (priority: number, attempts: number) => world.sql`
      insert into bus_ready (lane, priority, tenant, message_ids, attempts) values (${id}, ${priority}, 'local', '{1}', ${attempts})`;
    const delayed = (priority: number, attempts: number) => world.sql`
      insert into bus_delayed (due_at, lane, priority, tenant, message_id, attempts)
      values (bus_now(), ${id}, ${priority}, 'local', 1, ${attempts})`;
    for (const put of [ready, delayed]) {
      for (const [priority, attempts] of [
        [10, 0],
        [-1, 0],
        [5, -1],
        [5, 101],
      ] as const)
        await expect(put(priority, attempts)).rejects.toMatchObject({ code: "23514" });
    }
    expect(await nothing()).toEqual({ n: "0" });
  });

  test("a text that cannot be stored is told with its place", async () => {
    await expect(publish(world.sql, { ...request, payload: { deep: ["ok", "a\0b"] } })).rejects.toMatchObject({
      details: { errors: [{ path: "/deep/1" }] },
    });
  });
});
