import fc from "fast-check";
import { expect, test } from "vitest";
import { Decision, type DecisionInputs } from "../../src/contracts/decision.ts";
import { choose } from "../../src/rules/choose.ts";
import { replay } from "../../src/rules/replay.ts";
import { inputs, standing, stats } from "../support/agents.ts";
import { anyInputs } from "../support/standings.ts";

const decided = (asked: DecisionInputs): Decision | null => {
  const choice = choose(asked);
  const { chosen } = choice;
  return chosen && { ...choice, chosen, role: asked.role, fallback: null, shadow: null, inputs: asked };
};
const stored = (decision: Decision) => Decision.parse(JSON.parse(JSON.stringify(decision)));

test("a stored decision is chosen again as it was, to the last digit", () => {
  fc.assert(
    fc.property(anyInputs(), (any) => {
      const decision = decided(any);
      if (decision) expect(replay(stored(decision))).toMatchObject({ same: true, differs: [] });
    }),
  );
});

test("a decision that does not follow from its inputs is found out", () => {
  const decision = decided(
    inputs([standing({ id: "a", stats: [stats(9, 1)] }), standing({ id: "b", stats: [stats(1, 9)] })]),
  );
  if (!decision) throw new Error("nobody was chosen");

  const forged = replay(stored({ ...decision, chosen: { agent_id: "b", agent_version: "1", canary: false } }));

  expect(forged).toMatchObject({ same: false, differs: ["chosen"], choice: { chosen: { agent_id: "a" } } });
});

test("a decision of another recipe is not judged", () => {
  const decision = decided(inputs([standing({})]));
  if (!decision) throw new Error("nobody was chosen");

  expect(replay({ ...decision, recipe: "0" }).same).toBeNull();
});
