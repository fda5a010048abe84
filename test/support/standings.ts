import fc from "fast-check";
import type { AgentStats, Standing } from "../../src/contracts/agent.ts";
import type { DecisionInputs } from "../../src/contracts/decision.ts";
import { inputs, shipped, standing } from "./agents.ts";

const intents = ["code.buildtest", "code.generate"] as const;
const usd = fc.double({ min: 0, max: 100, noNaN: true });
const instant = fc
  .integer({ min: 0, max: 30 * 86_400 })
  .map((s) => new Date(Date.UTC(2029, 11, 2) + s * 1000).toISOString());

const anyStats: fc.Arbitrary<AgentStats> = fc.record({
  intent: fc.constantFrom(...intents),
  good: fc.double({ min: 0, max: 1000, noNaN: true }),
  bad: fc.double({ min: 0, max: 1000, noNaN: true }),
  latency_ms: fc.option(fc.double({ min: 0, max: 1e6, noNaN: true })),
  at: instant,
  turn: fc.nat(10_000),
});

const anyStanding: fc.Arbitrary<Partial<Standing>> = fc.record(
  {
    intents: fc.subarray([...intents], { minLength: 1 }),
    capacity: fc.integer({ min: 1, max: 100 }),
    price: fc.record({ per_call_usd: usd, per_1k_tokens_usd: usd }),
    tenants: fc.subarray(["acme", "globex"]),
    languages: fc.subarray(["node", "python"]),
    enabled: fc.boolean(),
    silent_ms: fc.nat(20_000),
    in_flight: fc.nat(400),
    circuit: fc.option(
      fc.record({
        key: fc.constant("executor.execute.0"),
        state: fc.constantFrom("closed" as const, "open" as const, "half_open" as const),
        since: instant,
      }),
    ),
    stats: fc.uniqueArray(anyStats, { maxLength: 2, selector: ({ intent }) => intent }),
  },
  { requiredKeys: [] },
);

/** Inputs of a choice between up to eight agents, some of them canaries of others, under any weights. */
export function anyInputs(): fc.Arbitrary<DecisionInputs> {
  const weight = fc.integer({ min: 0, max: 100 });
  const weights = fc.record({
    success: fc.integer({ min: 1, max: 100 }),
    latency: weight,
    load: weight,
    price: weight,
    circuit: weight,
    fit: weight,
    affinity: weight,
  });
  const agent = fc.record({ rest: anyStanding, canaryOf: fc.option(fc.nat(7)), pct: fc.integer({ min: 0, max: 50 }) });
  return fc
    .record({
      drawn: fc.array(agent, { minLength: 1, maxLength: 8 }),
      sticky_key: fc.string(),
      draw: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      language: fc.option(fc.constantFrom("node", "python")),
      weights,
      share: fc.double({ min: 0, max: 0.5, noNaN: true }),
    })
    .map(({ drawn, weights, share, ...rest }) => {
      const stable = drawn.map(({ canaryOf }) => canaryOf === null);
      const agents = drawn.map(({ rest, canaryOf, pct }, n) => {
        const of = canaryOf !== null && stable[canaryOf] ? { agent_id: `agent-${canaryOf}`, agent_version: "1" } : null;
        return standing({ ...rest, id: `agent-${n}`, canary_of: of, canary_pct: of ? pct : 0 });
      });
      const rule = { ...shipped.default, weights, exploration: { share, optimism: 1 } };
      return inputs(agents, { ...rest, rule });
    });
}
