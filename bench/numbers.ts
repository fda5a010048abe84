import { Failure } from "../src/contracts/failure.ts";

/** The middle of the values; of an even number, the mean of the two in the middle. Null without values. */
export function median(values: readonly number[]): number | null {
  return percentile(values, 50);
}

/** The `p`-th percentile, 0..100, linear between neighbours (as percentile_cont). Null without values. */
export function percentile(values: readonly number[], p: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const place = ((sorted.length - 1) * p) / 100;
  const below = sorted[Math.floor(place)];
  const above = sorted[Math.ceil(place)];
  if (below === undefined || above === undefined) return null;
  return below + (above - below) * (place - Math.floor(place));
}

/** a / b. Null when one of them was not measured, or b is nothing. */
export function ratio(a: number | null | undefined, b: number | null | undefined): number | null {
  return a === null || a === undefined || !b ? null : a / b;
}

/** A number in three or four digits, for reports: 12088.33 → 12088, 2.3456 → 2.346. */
export function rounded(value: number): number;
export function rounded(value: number | null): number | null;
export function rounded(value: number | null): number | null {
  if (value === null || Math.abs(value) >= 1000) return value === null ? null : Math.round(value);
  return Number(value.toPrecision(4));
}

/** A whole number from an option, `least` at least. Throws `invalid_request`. */
export function whole(option: string, text: string | undefined, least: number): number {
  const value = Number(text);
  if (text !== undefined && text !== "" && Number.isSafeInteger(value) && value >= least) return value;
  throw new Failure("invalid_request", `${option} is a whole number, ${least} at least; this is ${text ?? "nothing"}`);
}
