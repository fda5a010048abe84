import { rounded } from "./numbers.ts";

/** A number that was promised: `least` is to be reached, `most` not to be passed. `aim` is what we would like. */
export type Promised = { name: string; unit: string } & (
  | { least: number; aim?: number }
  | { most: number; aim?: number }
);

/** How a promise stands. `value` and `met` are null when it was not measured. */
export type Goal = {
  name: string;
  goal: string; // '≥ 3'
  aim: string | null;
  value: number | null;
  unit: string;
  met: boolean | null;
};

/** Holds a value against what was promised. */
export function judgeGoal(promised: Promised, value: number | null): Goal {
  const { name, unit } = promised;
  const [sign, bound] = "least" in promised ? ["≥", promised.least] : ["≤", promised.most];
  const goal = `${sign} ${bound}`;
  const aim = promised.aim === undefined ? null : `${sign} ${promised.aim}`;
  if (value === null) return { name, goal, aim, value: null, unit, met: null };
  const met = "least" in promised ? value >= promised.least : value <= promised.most;
  return { name, goal, aim, value: rounded(value), unit, met };
}

/** Goals as rows of cells, with a head. */
export function goalRows(goals: readonly Goal[]): string[][] {
  const word = { true: "met", false: "missed", null: "not run" };
  return [
    ["promise", "goal", "measured", ""],
    ...goals.map(({ name, goal, aim, value, unit, met }) => [
      name,
      `${goal} ${unit}`.trimEnd() + (aim ? `, aim ${aim}` : ""),
      value === null ? "–" : `${value} ${unit}`.trimEnd(),
      word[`${met}`],
    ]),
  ];
}
