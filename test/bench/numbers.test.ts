import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { goalRows, judgeGoal } from "../../bench/goals.ts";
import { median, percentile, ratio, rounded, whole } from "../../bench/numbers.ts";

const numbers = fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 1, maxLength: 50 });

describe("numbers", () => {
  test("a median is the middle, or the mean of the two in the middle, whatever the order", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([9, 1, 5, 7])).toBe(6);
    expect(median([])).toBeNull();
  });

  test("a percentile lies between the least and the greatest, and grows with p", () => {
    fc.assert(
      fc.property(numbers, fc.double({ noNaN: true, min: 0, max: 100 }), (values, p) => {
        const at = percentile(values, p) ?? Number.NaN;
        expect(at).toBeGreaterThanOrEqual(Math.min(...values));
        expect(at).toBeLessThanOrEqual((percentile(values, 100) ?? Number.NaN) + 1e-9);
      }),
    );
    expect(percentile([1, 2, 3, 4, 5], 99)).toBeCloseTo(4.96);
  });

  test("a ratio to what was not measured is no number", () => {
    expect(ratio(6, 4)).toBe(1.5);
    expect(ratio(null, 4)).toBeNull();
    expect(ratio(6, undefined)).toBeNull();
    expect(ratio(6, 0)).toBeNull();
  });

  test("reports show four digits", () => {
    expect([12088.33, 2.34567, 0.00123456].map((value) => rounded(value))).toEqual([12088, 2.346, 0.001235]);
    expect(rounded(null)).toBeNull();
  });

  test.each(["", "x", "1.5", "0", undefined])("refuses %j as a whole number", (text) => {
    expect(() => whole("--rounds", text, 1)).toThrow("--rounds is a whole number, 1 at least");
  });
});

describe("goals", () => {
  test("a goal is met at its bound, missed beyond it, and neither when it was not measured", () => {
    const drain = { name: "drain", unit: "×", least: 3 };
    const wait = { name: "wait", unit: "ms", most: 100 };

    expect([3, 2.999, null].map((value) => judgeGoal(drain, value).met)).toEqual([true, false, null]);
    expect([100, 100.1, null].map((value) => judgeGoal(wait, value).met)).toEqual([true, false, null]);
  });

  test("what was not run is said so in the table", () => {
    const goals = [
      judgeGoal({ name: "drain", unit: "×", least: 3 }, 4.20001),
      judgeGoal({ name: "wait", unit: "ms", most: 1 }, null),
    ];

    expect(goalRows(goals)).toEqual([
      ["promise", "goal", "measured", ""],
      ["drain", "≥ 3 ×", "4.2 ×", "met"],
      ["wait", "≤ 1 ms", "–", "not run"],
    ]);
  });
});
