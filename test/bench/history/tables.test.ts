import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startEcho } from "../../../bench/bus/echo.ts";
import { prepareOurs, putBatch, putSingle } from "../../../bench/bus/ours.ts";
import { type Look, tenthsOf, timing } from "../../../bench/history/claims.ts";
import { eventBlock, fillEvents, madeUpEvents, madeUpTraces } from "../../../bench/history/tables.ts";
import { eventsOf } from "../../../src/store/events.ts";
import { envelopesOf } from "../../../src/store/traces.ts";
import { openWorld, type World } from "../../support/world.ts";

describe("what bus-history knows of the tables", () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
    await prepareOurs(world.url);
  });
  afterAll(() => world.close());

  test("a made-up trace reads as one that was worked off", async () => {
    await fillEvents(world.sql, 2 * eventBlock, () => {});
    const traces = await madeUpTraces(world.sql, 2 * eventBlock, 10);

    expect(new Set(traces).size).toBe(10);
    for (const trace of traces) {
      const events = await eventsOf(world.sql, trace);
      expect(events).toHaveLength(madeUpEvents);
      expect(events.slice(0, 4).map(({ kind }) => kind)).toEqual([
        "codegen_accepted",
        "codegen_acked",
        "codegen_status",
        "codegen_done",
      ]);
      const envelopes = await envelopesOf(world.sql, trace);
      expect(envelopes.map(({ status }) => status)).toEqual(["done", "done", "done", "done", "done"]);
    }
  });

  test("what is published after the made-up week is worked off, and looking for it is recognised", async () => {
    const looks: Look[] = [];
    const begun = new Set<number>();
    await putBatch(
      world.sql,
      [1, 2, 3, 4, 5, 6, 7, 8].map((n) => ({ n, text: "one of eight" })),
    );
    await putSingle(world.sql, { n: 9, text: "the ninth" });
    const worker = await startEcho(
      {
        sql: timing(world.sql, { before: () => begun.size, heard: (look) => looks.push(look) }),
        name: "echo",
        concurrency: 4,
        leaseMs: 10_000,
      },
      ({ payload }) => void begun.add(payload.n),
    );
    await expect.poll(() => begun.size).toBe(9);
    await worker.stop(1000);

    expect(new Set(looks.map(({ before }) => before)).size).toBeGreaterThan(1); // not only before the first message
  });
});

describe("looking for work, by tenth", () => {
  test("a tenth is what its messages cost, a thousand; what is found late belongs to the last", () => {
    const looks = [
      { before: 0, ms: 1 },
      { before: 50, ms: 3 },
      { before: 100, ms: 4 },
      { before: 100, ms: 6 },
      ...Array.from({ length: 8 }, (_, n) => ({ before: 200 + n * 100, ms: 2 })),
      { before: 1000, ms: 1 },
    ];

    expect(tenthsOf(looks, 1000)).toEqual([40, 100, 20, 20, 20, 20, 20, 20, 20, 30]);
  });
});
