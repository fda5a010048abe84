import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AgentStats } from "../../src/contracts/agent.ts";
import { type Counted, learn } from "../../src/rules/outcome.ts";

const day = 86_400;
const memory = { half_life_s: day, half_life_calls: 50 };
const at = (seconds: number) => new Date(Date.UTC(2030, 0, 1) + seconds * 1000);
const learnt = (ends: Counted[]) =>
  ends.reduce<AgentStats | null>((known, end) => learn(known, "code.generate", end, memory), null);

describe("what is known of an agent", () => {
  test("weighs half after the half-life", () => {
    const known = learnt([
      { good: true, latencyMs: 100, at: at(0), turn: 1 },
      { good: false, latencyMs: 400, at: at(day), turn: 1 },
    ]);

    expect(known).toMatchObject({ good: 0.5, bad: 1, at: at(day).toISOString() });
    expect(known?.latency_ms).toBeCloseTo(300, 9);
  });

  test("weighs half after so many calls of the intent, whoever worked", () => {
    const known = learnt([
      { good: true, latencyMs: 100, at: at(0), turn: 1 },
      { good: false, latencyMs: 400, at: at(0), turn: 51 },
    ]);

    expect(known).toMatchObject({ good: 0.5, bad: 1, turn: 51 });
  });

  test("does not depend on the order in which ends are counted", () => {
    const end = fc.record({
      good: fc.boolean(),
      latencyMs: fc.nat(10_000),
      at: fc.nat(10 * day).map(at),
      turn: fc.nat(1000),
    });
    fc.assert(
      fc.property(fc.array(end, { minLength: 1, maxLength: 20 }), fc.nat(), (ends, turn) => {
        const cut = turn % ends.length;
        const one = learnt(ends);
        const other = learnt([...ends.slice(cut), ...ends.slice(0, cut)]);
        expect(other?.at).toBe(one?.at);
        expect(other?.good).toBeCloseTo(one?.good ?? Number.NaN, 9);
        expect(other?.bad).toBeCloseTo(one?.bad ?? Number.NaN, 9);
        expect(other?.latency_ms).toBeCloseTo(one?.latency_ms ?? Number.NaN, 5);
      }),
    );
  });
});
