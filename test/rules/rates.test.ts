import { expect, test } from "vitest";
import { quantile, rateDifference, rateInterval } from "../../src/rules/rates.ts";

test.each([
  [0.5, 0],
  [0.975, 1.959963985],
  [0.025, -1.959963985],
  [0.999, 3.090232306],
  [0.001, -3.090232306],
])("knows the quantile %d of the normal distribution", (p, z) => {
  expect(quantile(p)).toBeCloseTo(z, 7);
});

test("has the interval of a rate that Newcombe printed (1998a, 81 of 263)", () => {
  const { low, high } = rateInterval({ good: 81, bad: 182 }, quantile(0.975));

  expect(low).toBeCloseTo(0.2553, 4);
  expect(high).toBeCloseTo(0.3662, 4);
});

test("has the interval of a difference that Newcombe printed (1998b, method 10: 56 of 70 against 48 of 80)", () => {
  const { low, high } = rateDifference({ good: 56, bad: 14 }, { good: 48, bad: 32 }, 0.025);

  expect(low).toBeCloseTo(0.0524, 4);
  expect(high).toBeCloseTo(0.3339, 4);
});
