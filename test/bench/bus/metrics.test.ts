import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  goalsOf,
  type Metric,
  numberRows,
  numbersOf,
  ratiosOf,
  rotated,
  type Single,
} from "../../../bench/bus/metrics.ts";
import type { SystemName } from "../../../bench/bus/system.ts";

/** One value a round. */
function singles(system: SystemName, metric: Metric, values: number[]): Single[] {
  return values.map((value, n) => ({ round: n + 1, system, metric, value }));
}

describe("what a bus benchmark makes of its values", () => {
  test("each round begins with another system, and all take part in each", () => {
    expect([0, 1, 2, 3].map((round) => rotated(["a", "b", "c"], round).join(""))).toEqual(["abc", "bca", "cab", "abc"]);
    fc.assert(
      fc.property(fc.array(fc.integer()), fc.nat(), (items, round) => {
        expect(rotated(items, round).toSorted()).toEqual(items.toSorted());
      }),
    );
  });

  test("a number is the median of the rounds; a round is the mean of what was measured in it", () => {
    const measured = [
      ...singles("ours", "enqueue_batch", [100, 900, 300]),
      ...singles("ours", "enqueue_batch", [200, 900, 500]),
    ];

    expect(numbersOf(measured).ours.enqueue_batch).toBe(400);
    expect(numbersOf(measured).ours.drain_1).toBeNull();
    expect(numbersOf(measured).pg_boss.enqueue_batch).toBeNull();
  });

  test("a ratio compares what was measured in the same round: a machine that slows down slows both", () => {
    const measured = [
      ...singles("ours", "drain_1", [4000, 400, 40]),
      ...singles("graphile_worker", "drain_1", [1000, 100, 10]),
    ];

    expect(ratiosOf(measured)).toEqual({ "drain_1: ours / graphile_worker": 4 });
  });

  test("a goal is met, missed, or not run", () => {
    const measured = [
      ...singles("ours", "drain_1", [3000]),
      ...singles("ours", "idle_p99_ms", [7]),
      ...singles("graphile_worker", "drain_1", [1000]),
      ...singles("graphile_worker", "idle_p99_ms", [10]),
    ];
    const met = Object.fromEntries(goalsOf(measured).map((goal) => [goal.name, goal.met]));

    expect(met).toEqual({
      "drain_1: ours / graphile_worker": true,
      "drain_1: ours / pg_boss": null,
      "cpu_ms_per_1k: ours / graphile_worker": null,
      "enqueue_batch: ours / raw": null,
      "idle_p50_ms: ours / graphile_worker": null,
      "idle_p99_ms: ours / graphile_worker": false,
    });
  });

  test("the table has a column for each system that ran", () => {
    const rows = numberRows(
      numbersOf([...singles("ours", "drain_1", [30_000]), ...singles("raw", "enqueue_batch", [50_000])]),
    );

    expect(rows[0]).toEqual(["", "ours", "raw"]);
    expect(rows.find(([metric]) => metric === "drain_1")).toEqual(["drain_1", "30000", "–"]);
  });
});
