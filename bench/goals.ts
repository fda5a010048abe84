import { rounded } from "./numbers.ts";

/** A number that was promised: `least` is to be reached, `most` not to be passed. One of the two. */
export type Promised = { name: string; unit: string } & ({ least: number } | { most: number });

/** How a promise stands. `value` and `met` are null when it was not measured. */
export type Goal = { name: string; goal: string; value: number | null; unit: string; met: boolean | null };

/** Holds a value against what was promised. */
export function judgeGoal(promised: Promised, value: number | null): Goal {
  const { name, unit } = promised;
  const goal = "least" in promised ? `≥ ${promised.least}` : `≤ ${promised.most}`;
  if (value === null) return { name, goal, value: null, unit, met: null };
  const met = "least" in promised ? value >= promised.least : value <= promised.most;
  return { name, goal, value: rounded(value), unit, met };
}

/** Goals as rows of cells, with a head. */
export function goalRows(goals: readonly Goal[]): string[][] {
  const word = { true: "met", false: "missed", null: "not run" };
  return [
    ["promise", "goal", "measured", ""],
    ...goals.map(({ name, goal, value, unit, met }) => [
      name,
      `${goal} ${unit}`.trimEnd(),
      value === null ? "–" : `${value} ${unit}`.trimEnd(),
      word[`${met}`],
    ]),
  ];
}
