import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CircuitRule } from "../../src/contracts/policy.ts";
import { type CircuitSight, circuitRuleFor, turnCircuit } from "../../src/rules/circuit.ts";

const rule: CircuitRule = {
  window_ms: 60_000,
  min_calls: 4,
  failure_rate: 0.5,
  cooldown_ms: 1000,
  half_open_probes: 2,
};
const closed: CircuitSight = { state: "closed", openMs: 0, byHand: false, ok: 0, failed: 0, held: false };

describe("a circuit", () => {
  test("opens when enough calls failed, and says how many", () => {
    expect(turnCircuit({ ...closed, ok: 2, failed: 1 }, rule)).toBe(null);
    expect(turnCircuit({ ...closed, ok: 3, failed: 2 }, rule)).toBe(null);
    expect(turnCircuit({ ...closed, ok: 2, failed: 2 }, rule)).toEqual({
      to: "open",
      because: "2 of 4 calls failed (50 %) within 60 s",
    });
  });

  test("is tried after its cooldown, unless it was opened by hand", () => {
    const open: CircuitSight = { ...closed, state: "open", openMs: 999 };
    expect(turnCircuit(open, rule)).toBe(null);
    expect(turnCircuit({ ...open, openMs: 1000 }, rule)).toMatchObject({ to: "half_open" });
    expect(turnCircuit({ ...open, openMs: 1_000_000, byHand: true }, rule)).toBe(null);
    expect(turnCircuit({ ...open, openMs: 1_000_000, held: true }, rule)).toBe(null);
  });

  test("closes when its probes were well, and opens at the first that was not", () => {
    const trial: CircuitSight = { ...closed, state: "half_open" };
    expect(turnCircuit({ ...trial, ok: 1 }, rule)).toBe(null);
    expect(turnCircuit({ ...trial, ok: 2 }, rule)).toMatchObject({ to: "closed" });
    expect(turnCircuit({ ...trial, ok: 5, failed: 1 }, rule)).toMatchObject({ to: "open" });
  });

  test("never opens without failures, and never stays closed above its rate", () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.nat(1000), fc.double({ min: 0.01, max: 1, noNaN: true }), (ok, failed, rate) => {
        const turned = turnCircuit({ ...closed, ok, failed }, { ...rule, failure_rate: rate });
        const over = failed > 0 && ok + failed >= rule.min_calls && failed / (ok + failed) >= rate;
        expect(turned?.to ?? "closed").toBe(over ? "open" : "closed");
      }),
    );
  });

  test("takes the most specific rule", () => {
    const other = { ...rule, min_calls: 1 };
    const most = { ...rule, min_calls: 2 };
    const policy = { default: rule, keys: { codegen: other, "codegen.generate.2": most } };
    expect(circuitRuleFor(policy, "codegen.generate.2")).toBe(most);
    expect(circuitRuleFor(policy, "codegen.generate.1")).toBe(other);
    expect(circuitRuleFor(policy, "chat.ask.0")).toBe(rule);
    expect(circuitRuleFor(policy, "constructor.x.0")).toBe(rule);
  });
});
