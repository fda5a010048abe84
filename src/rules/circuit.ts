import type { CircuitPolicy, CircuitRule, CircuitState } from "../contracts/policy.ts";

/** A circuit as it stands, and what its calls came to since it changed, within its window. */
export type CircuitSight = {
  state: CircuitState;
  openMs: number; // since it changed
  byHand: boolean;
  ok: number;
  failed: number; // without what callers caused
  held: boolean; // something is under way there
};

/** The rule of a lane: that of `service.role.shard`, else `service.role`, else `service`, else the default. */
export function circuitRuleFor(policy: CircuitPolicy, key: string): CircuitRule {
  const [service = "", role = ""] = key.split(".");
  const keys = [key, `${service}.${role}`, service];
  const found = keys.find((candidate) => Object.hasOwn(policy.keys, candidate));
  return (found && policy.keys[found]) || policy.default;
}

/**
 * What becomes of a circuit, and why; null: it stays as it is. Closed opens when enough calls failed; open is half open
 * after its cooldown, unless somebody opened it by hand; half open closes when its probes were well, and opens at the
 * first that was not (the circuit breaker of Nygard, Release It!, 2007).
 */
export function turnCircuit(sight: CircuitSight, rule: CircuitRule): { to: CircuitState; because: string } | null {
  const { state, openMs, byHand, ok, failed, held } = sight;
  const calls = ok + failed;
  if (state === "closed") {
    if (calls < rule.min_calls || failed === 0 || failed / calls < rule.failure_rate) return null;
    const share = Math.round((100 * failed) / calls);
    return { to: "open", because: `${failed} of ${calls} calls failed (${share} %) within ${rule.window_ms / 1000} s` };
  }
  if (state === "open") {
    if (byHand || held || openMs < rule.cooldown_ms) return null; // what was begun before is no probe
    return { to: "half_open", because: `${rule.half_open_probes} probes after ${rule.cooldown_ms / 1000} s` };
  }
  if (failed > 0) return { to: "open", because: `${failed} of ${calls} probes failed` };
  if (ok >= rule.half_open_probes) return { to: "closed", because: `${ok} probes were well` };
  return null;
}
