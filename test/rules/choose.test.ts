import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Choice } from "../../src/contracts/decision.ts";
import { canaryDraw } from "../../src/rules/canary.ts";
import { choose } from "../../src/rules/choose.ts";
import { inputs, shipped, standing, stats, steady } from "../support/agents.ts";
import { anyInputs } from "../support/standings.ts";

const agents = [
  standing({ id: "best", stats: [stats(90, 10)] }),
  standing({ id: "good", stats: [stats(80, 20)] }),
  standing({ id: "poor", stats: [stats(20, 80)] }),
];
const keyWhere = (drawn: (draw: number) => boolean) => {
  for (let n = 0; ; n += 1) if (drawn(canaryDraw("steady", `acme/order-${n}`))) return `acme/order-${n}`;
};

describe("a choice", () => {
  test("is the best score, and says so", () => {
    expect(choose(inputs(agents))).toMatchObject({
      chosen: { agent_id: "best", agent_version: "1", canary: false },
      because: expect.stringMatching(/^best 1: best score 0\.\d\d of 3 able agents$/),
      explored: false,
      propensity: 0.95,
    });
  });

  test("is another one when the draw says so, the closer one more likely, with the probability it had", () => {
    const low = choose(inputs(agents, { draw: 0.951 }));
    const high = choose(inputs(agents, { draw: 0.9999 }));

    expect(low).toMatchObject({ chosen: { agent_id: "good" }, explored: true });
    expect(high).toMatchObject({ chosen: { agent_id: "poor" }, explored: true });
    expect(low.propensity).toBeGreaterThan(high.propensity);
    expect(low.because).toMatch(/^good 1: drawn to explore, with a chance of \d\.\d %, among 3 able agents$/);
  });

  test("never explores where the policy has switched it off", () => {
    const rule = { ...shipped.default, exploration: { share: 0, optimism: 1 } };

    expect(choose(inputs(agents, { draw: 0.9999, rule }))).toMatchObject({ explored: false, propensity: 1 });
  });

  test("is nobody when nobody is able, with a reason for each", () => {
    const { chosen, because, propensity, candidates } = choose(
      inputs(agents.map((one) => ({ ...one, enabled: false }))),
    );

    expect({ chosen, because, propensity }).toEqual({
      chosen: null,
      because: "nobody of 3 considered is able now",
      propensity: 0,
    });
    expect(candidates.map(({ exclusion }) => exclusion)).toEqual(["disabled", "disabled", "disabled"]);
  });

  test("gives a canary the place of its stable when the key is drawn for it, whatever its own score", () => {
    const pair = [
      standing({ id: "steady", stats: [stats(90, 10)] }),
      standing({ id: "bold", canary_of: steady, canary_pct: 20, stats: [stats(0, 5)] }),
      standing({ id: "other", stats: [stats(50, 50)] }),
    ];
    const drawn = choose(inputs(pair, { sticky_key: keyWhere((draw) => draw < 20) }));
    const resting = choose(inputs(pair, { sticky_key: keyWhere((draw) => draw >= 20) }));

    expect(drawn.chosen).toEqual({ agent_id: "bold", agent_version: "1", canary: true });
    expect(drawn.because).toMatch(/^bold 1: drawn as the canary of steady 1, which was chosen: best score/);
    expect(drawn.candidates.find(({ agent_id }) => agent_id === "steady")).toMatchObject({ exclusion: "canary" });
    expect(resting.chosen).toEqual({ agent_id: "steady", agent_version: "1", canary: false });
    expect(resting.candidates.find(({ agent_id }) => agent_id === "bold")).toMatchObject({ exclusion: "rest" });
  });

  test("leaves the stable its work when its canary is not able", () => {
    const pair = [standing({}), standing({ id: "bold", canary_of: steady, canary_pct: 100, silent_ms: 20_000 })];

    expect(choose(inputs(pair)).chosen?.agent_id).toBe("steady");
  });

  test("knows the probability of each candidate: they sum to 1, and only the able have one", () => {
    fc.assert(
      fc.property(anyInputs(), (any) => {
        const choice = choose(any);
        const able = choice.candidates.filter(({ excluded }) => excluded === null);
        const excluded = choice.candidates.filter((one) => one.excluded !== null);

        expect(choice.candidates.length).toBe(any.agents.length);
        expect(excluded.every(({ propensity }) => propensity === 0)).toBe(true);
        Choice.parse(choice);
        if (able.length === 0) {
          expect(choice.chosen).toBeNull();
          return;
        }
        expect(able.reduce((sum, { propensity }) => sum + propensity, 0)).toBeCloseTo(1, 12);
        if (any.rule.exploration.share / able.length > 0)
          expect(able.every(({ propensity }) => propensity > 0)).toBe(true);
        expect(choice.propensity).toBeGreaterThan(0);
      }),
    );
  });
});
