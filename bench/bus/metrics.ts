import { type Goal, judgeGoal, type Promised } from "../goals.ts";
import { median, ratio, rounded } from "../numbers.ts";
import { type SystemName, systemNames } from "./system.ts";

/** What is measured of each system. Of rates more is better, of the others less. */
export const metrics = [
  "drain_1", // messages a second, one worker process
  "drain_2", // two worker processes
  "cpu_ms_per_1k", // user and system, of the worker and of every Postgres process, during drain_1
  "cpu_worker_ms_per_1k", // the worker's part of it
  "cpu_postgres_ms_per_1k", // the server's part of it
  "enqueue_batch", // messages a second
  "enqueue_single", // messages a second
  "idle_p50_ms", // from the call that publishes until the handler begins
  "idle_p99_ms",
] as const;
export type Metric = (typeof metrics)[number];

/** One value, as it was measured. */
export type Single = { round: number; system: SystemName; metric: Metric; value: number };

/** The numbers of one system. Null: not run, or not measured on this machine. */
export type Numbers = Record<Metric, number | null>;

/** A ratio of two systems in one metric. */
type Held = { a: SystemName; b: SystemName; metric: Metric };

/** What was promised of our bus beside the others, and the ratio that shows it. */
const promises: (Promised & Held)[] = [
  promise({ a: "ours", b: "graphile_worker", metric: "drain_1" }, { least: 3, aim: 4 }),
  promise({ a: "ours", b: "pg_boss", metric: "drain_1" }, { least: 3.5, aim: 4.5 }),
  promise({ a: "ours", b: "graphile_worker", metric: "cpu_ms_per_1k" }, { most: 0.4 }),
  promise({ a: "ours", b: "raw", metric: "enqueue_batch" }, { least: 0.45, aim: 0.7 }),
  promise({ a: "ours", b: "graphile_worker", metric: "idle_p50_ms" }, { most: 0.7 }),
  promise({ a: "ours", b: "graphile_worker", metric: "idle_p99_ms" }, { most: 0.6 }),
];

function promise(held: Held, bound: { least: number; aim?: number } | { most: number }): Promised & Held {
  return { name: ratioName(held), unit: "×", ...held, ...bound };
}

function ratioName({ a, b, metric }: Held): string {
  return `${metric}: ${a} / ${b}`;
}

/** The systems in the order of a round: each round begins with another one. */
export function rotated<T>(items: readonly T[], round: number): T[] {
  const start = items.length === 0 ? 0 : round % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

/** The value of a round: the mean of what was measured in it. */
function ofRound(singles: Single[], { round, system, metric }: Omit<Single, "value">): number | null {
  const values = singles.filter((one) => one.round === round && one.system === system && one.metric === metric);
  return values.length === 0 ? null : values.reduce((sum, { value }) => sum + value, 0) / values.length;
}

function rounds(singles: Single[]): number[] {
  return [...new Set(singles.map(({ round }) => round))];
}

/** The median over the rounds, for each system and metric. */
export function numbersOf(singles: Single[]): Record<SystemName, Numbers> {
  const of = (system: SystemName, metric: Metric) =>
    rounded(median(rounds(singles).flatMap((round) => ofRound(singles, { round, system, metric }) ?? [])));
  return Object.fromEntries(
    systemNames.map((system) => [system, Object.fromEntries(metrics.map((metric) => [metric, of(system, metric)]))]),
  ) as Record<SystemName, Numbers>; // every name and metric was just put in
}

/**
 * a / b: the median of the ratios of each round. What slows the machine for a while slows both of a round, so this holds
 * better than the ratio of two medians.
 */
function ratioOf(singles: Single[], { a, b, metric }: Held): number | null {
  const ofBoth = rounds(singles).map((round) =>
    ratio(ofRound(singles, { round, system: a, metric }), ofRound(singles, { round, system: b, metric })),
  );
  return median(ofBoth.flatMap((value) => value ?? []));
}

/** Ours beside every other system, in every metric both have. */
export function ratiosOf(singles: Single[]): Record<string, number> {
  const held = systemNames
    .filter((name) => name !== "ours")
    .flatMap((b) => metrics.map((metric): Held => ({ a: "ours", b, metric })));
  return Object.fromEntries(
    held.flatMap((one) => {
      const value = rounded(ratioOf(singles, one));
      return value === null ? [] : [[ratioName(one), value]];
    }),
  );
}

/** How the promises stand. */
export function goalsOf(singles: Single[]): Goal[] {
  return promises.map((promised) => judgeGoal(promised, ratioOf(singles, promised)));
}

/** The numbers as rows of cells, a column for each system that ran. */
export function numberRows(numbers: Record<SystemName, Numbers>): string[][] {
  const ran = systemNames.filter((name) => Object.values(numbers[name]).some((value) => value !== null));
  return [
    ["", ...ran],
    ...metrics.map((metric) => [metric, ...ran.map((name) => String(numbers[name][metric] ?? "–"))]),
  ];
}
