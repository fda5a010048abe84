import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startEcho } from "../../../bench/bus/echo.ts";
import { prepareOurs, putBatch, putSingle } from "../../../bench/bus/ours.ts";
import { type Claim, tenthsOf, timing } from "../../../bench/history/claims.ts";
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

  test("what is published after the made-up week is worked off, and its claims are recognised", async () => {
    const claims: Claim[] = [];
    const begun = new Set<number>();
    await putBatch(
      world.sql,
      [1, 2, 3, 4, 5, 6, 7, 8].map((n) => ({ n, text: "one of eight" })),
    );
    await putSingle(world.sql, { n: 9, text: "the ninth" });
    const worker = await startEcho(
      { sql: timing(world.sql, (claim) => claims.push(claim)), name: "echo", concurrency: 4, leaseMs: 10_000 },
      ({ payload }) => void begun.add(payload.n),
    );
    await expect.poll(() => begun.size).toBe(9);
    await worker.stop(1000);

    expect(claims.reduce((sum, { messages }) => sum + messages, 0)).toBe(9);
  });
});

describe("claims by tenth", () => {
  test("a tenth is what its messages cost, a thousand; empty looks cost where they happen", () => {
    const claims = [
      { ms: 1, messages: 50 },
      { ms: 3, messages: 50 },
      { ms: 4, messages: 0 },
      { ms: 6, messages: 100 },
      ...Array.from({ length: 8 }, () => ({ ms: 2, messages: 100 })),
    ];

    expect(tenthsOf(claims, 1000)).toEqual([40, 100, 20, 20, 20, 20, 20, 20, 20, 20]);
  });
});
