import { isDeepStrictEqual } from "node:util";
import type { Choice, Decision } from "../contracts/decision.ts";
import { choose, recipe } from "./choose.ts";

/** What comes of choosing again. `same` null: another recipe chose then, so the two say nothing about each other. */
export type Replayed = { same: boolean | null; choice: Choice; differs: string[] };

/** Chooses again from what a decision was made of. `differs` names what is not as it was, e.g. 'chosen', 'candidates'. */
export function replay(decision: Decision): Replayed {
  const choice = choose(decision.inputs);
  const differs = Object.entries(choice)
    .filter(([name, value]) => !isDeepStrictEqual(value, Object.entries(decision).find(([key]) => key === name)?.[1]))
    .map(([name]) => name);
  return { same: decision.recipe === recipe ? differs.length === 0 : null, choice, differs };
}
