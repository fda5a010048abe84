import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Agent } from "../../src/contracts/agent.ts";
import { objectionsTo, stableOf } from "../../src/rules/registration.ts";
import { agentSpec, steady } from "../support/agents.ts";

const agent = (rest: Partial<Agent> = {}): Agent => ({ ...agentSpec(rest), origin: "api", paused: null });
const bold = (rest: Partial<Agent> = {}) => agent({ id: "bold", canary_of: steady, canary_pct: 20, ...rest });
const against = (one: Agent, ...known: Agent[]) =>
  objectionsTo(one, known).map(({ path, message }) => `${path} ${message}`);

describe("what speaks against an agent", () => {
  test("nothing, when its stable is there and has room", () => {
    expect(against(bold(), agent())).toEqual([]);
    expect(
      against(bold({ canary_pct: 50 }), agent(), bold(), agent({ id: "third", canary_of: steady, canary_pct: 50 })),
    ).toEqual([]);
  });

  test("a share of all canaries above 100 %", () => {
    const third = agent({ id: "third", canary_of: steady, canary_pct: 81 });

    expect(against(bold(), agent(), third)).toEqual([
      "/canary_pct the canaries of steady 1 have 81 % already, and all have 100 %",
    ]);
  });

  test("a stable that becomes a canary while it has one", () => {
    const other = agent({ id: "other" });

    expect(against(agent({ canary_of: { agent_id: "other", agent_version: "1" } }), other, bold())).toEqual([
      "/canary_of bold 1 is its canary: a stable of somebody is no canary",
    ]);
  });

  test("an id that is an agent of another role, and a canary of another role", () => {
    expect(against(agent({ version: "2", service_role: "rag.query" }), agent())).toEqual([
      "/service_role steady is taken: it is an agent of executor.execute",
    ]);
    expect(against(bold({ service_role: "rag.query" }), agent())).toEqual([
      "/canary_of steady 1 takes the work of executor.execute",
    ]);
    expect(against(agent({ service_role: "rag.query" }), bold())).toEqual([
      "/service_role bold 1 is its canary and takes the work of executor.execute",
    ]);
  });

  test("whatever is changed one by one, no canary has a canary and no stable gives away more than 100 %", () => {
    const ids = fc.constantFrom("a", "b", "c", "d");
    const change = fc.record({
      id: ids,
      canary_of: fc.option(ids.map((agent_id) => ({ agent_id, agent_version: "1" }))),
      canary_pct: fc.integer({ min: 0, max: 100 }),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
        let known: Agent[] = [];
        for (const one of changes.map(agent)) {
          if (objectionsTo(one, known).length === 0) known = [...known.filter(({ id }) => id !== one.id), one];
        }
        for (const { id, canary_of } of known) {
          const canaries = known.filter((other) => other.canary_of?.agent_id === id);
          if (canaries.length > 0) expect(canary_of).toBeNull();
          expect(canaries.reduce((sum, { canary_pct }) => sum + canary_pct, 0)).toBeLessThanOrEqual(100);
          if (canary_of) expect(known.some((other) => other.id === canary_of.agent_id)).toBe(true);
        }
      }),
    );
  });
});

describe("the stable that was named", () => {
  test("is the only one of that id, or the one in that version", () => {
    expect(stableOf({ agent_id: "steady" }, [agent(), bold()])).toEqual(steady);
    expect(stableOf(steady, [agent(), agent({ version: "2" })])).toEqual(steady);
  });

  test.each([
    ["there is no stable agent steady", { agent_id: "steady" }, [bold()]],
    ["there is no agent steady 9", { agent_id: "steady", agent_version: "9" }, [agent()]],
    [
      "steady has 2 stables (1, 2) and a canary has one: name agent_version",
      { agent_id: "steady" },
      [agent(), agent({ version: "2" })],
    ],
  ])("is refused: %s", (message, named, known) => {
    expect(stableOf(named, known)).toEqual({ path: "/canary_of", message });
  });
});
