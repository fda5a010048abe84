import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openFlows } from "../../src/bus/flows.ts";
import { publish } from "../../src/bus/publish.ts";
import { openRounds, type WorkerLanes } from "../../src/bus/round.ts";
import type { Taken } from "../../src/store/claims.ts";
import { flowsOn } from "../../src/store/flows.ts";
import { declare, requestFor } from "../support/bus.ts";
import { openWorld, type World } from "../support/world.ts";

/**
 * A claim does not wait for the disk, and neither is a message waited for that came alone. When the server dies in that
 * moment they never were: messages are ready again, or there are none, and the sequence gives their ids to others.
 */
describe("an id that is given twice", () => {
  let world: World;
  beforeEach(async () => {
    world = await openWorld();
    await declare(world.sql, "chat.ask");
  });
  afterEach(() => world.close());

  const put = (key: string) => publish(world.sql, requestFor({ idempotencyKey: key }));
  async function openAll() {
    const flows = openFlows();
    const rows = await world.sql<{ id: number; service: string; role: string; shard: number }[]>`
      select id, service, role, shard from bus_lanes`;
    const lanes: WorkerLanes = new Map(rows.map(({ id, ...lane }) => [id, { ...lane, mine: true, closed: false }]));
    const rounds = openRounds(
      { sql: world.sql, name: "w", leaseMs: 30_000, concurrency: 100 },
      { flows, ring: () => {}, laneOf: () => undefined, tell: async () => {}, mayTake: () => false, begin: () => {} },
    );
    const claim = async () => {
      flows.hear(await flowsOn(world.sql, [...lanes.keys()]), performance.now());
      return rounds.go(100, lanes);
    };
    const settle = async (messages: Taken[]) => {
      const ends = messages.map((message) => {
        const done = { message, result: {}, answer: null, next: [], records: [] };
        return new Promise((resolve) => {
          rounds.settle(done, {
            message,
            ended(reason) {
              rounds.released(message, true); // the worst that a worker could think
              resolve(reason);
            },
          });
        });
      });
      while (rounds.pending) await rounds.go(0, lanes);
      const all = await Promise.all(ends);
      while (rounds.pending) await rounds.go(0, lanes); // leases
      return all;
    };
    return { claim, settle };
  }
  /** The server died before the claim was on disk. */
  async function unmake(claimed: Taken[]): Promise<void> {
    for (const { id, lane, token } of claimed) {
      await world.sql`delete from bus_leases where token = ${token}`;
      await world.sql`
        insert into bus_ready (lane, priority, tenant, seq, message_ids, attempts)
        values (${lane}, 5, 'local', ${id}, array[${id}::bigint], 0)`;
    }
  }
  const reissue = (id: string) => world.sql`select setval('bus_ids', ${id}, false)`;
  /** Without the chance in it, a token is given again too. */
  const plainTokens = () => world.sql`alter table bus_leases alter token set default nextval('bus_ids')`;
  const held = async () =>
    (await world.sql<{ id: string }[]>`select message_id as id from bus_held order by 1`).map(({ id }) => id);

  test("is no lease's token again", async () => {
    const { claim, settle } = await openAll();
    await put("one");
    const [ghost] = await claim();
    if (!ghost) throw new Error("one was claimed");
    await world.sql`truncate bus_messages, bus_keys, bus_leases`; // the server died before any of it was on disk
    await reissue(ghost.id);
    await put("two");
    const [other] = await claim();
    expect(other).toMatchObject({ id: ghost.id, lane: ghost.lane, worker: ghost.worker, idempotencyKey: "two" });
    expect(other?.token).not.toBe(ghost.token);

    const [reason] = await settle([ghost]);

    expect(reason).toMatchObject({ code: "lease_lost" });
    expect(await held()).toEqual([ghost.id]);
    if (other) expect(await settle([other])).toEqual([undefined]);
    expect(await held()).toEqual([]);
    expect(await world.sql`select kind from bus_events order by id`).toEqual(
      ["gateway_accepted", "gateway_acked", "gateway_done"].map((kind) => ({ kind })),
    );
  });

  test("takes nothing from the messages that have its token now", async () => {
    await plainTokens();
    const { claim, settle } = await openAll();
    await put("one");
    const before = await claim();
    expect(before).toHaveLength(1);
    await unmake(before);
    await put("two");
    await reissue(before[0]?.token ?? "");

    const after = await claim();
    expect(after).toHaveLength(2);
    expect(after[0]?.token).toBe(before[0]?.token);
    await settle(before);

    const [one, two] = after;
    if (!one || !two) throw new Error("two were claimed");
    expect(await held()).toEqual([two.id]);
    const [reason] = await settle([one]); // the same work, done a second time
    expect(reason).toMatchObject({ code: "lease_lost" });
    expect(await held()).toEqual([two.id]);
    expect(await settle([two])).toEqual([undefined]);
    expect(await held()).toEqual([]);
  });

  test("of a message that another worker has by now, lets go of nobody's lease", async () => {
    await plainTokens();
    const { claim, settle } = await openAll();
    await put("one");
    const before = await claim();
    await unmake(before);
    await world.sql`delete from bus_ready`; // somebody else has it
    await put("two");
    await reissue(before[0]?.token ?? "");
    const after = await claim();
    expect(after[0]?.token).toBe(before[0]?.token);

    const [reason] = await settle(before);
    expect(reason).toMatchObject({ code: "lease_lost" });
    expect(await held()).toEqual(after.map(({ id }) => id));
  });
});
