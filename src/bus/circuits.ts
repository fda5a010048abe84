import { Failure } from "../contracts/failure.ts";
import type { CircuitPolicy, CircuitState } from "../contracts/policy.ts";
import { circuitRuleFor, turnCircuit } from "../rules/circuit.ts";
import { circuitsToTurn, grantProbes, laneOf, setCircuit } from "../store/circuits.ts";
import type { Database, Sql } from "../store/database.ts";
import { tellAlone } from "../store/events.ts";

/** A probe that was taken and of which nothing is to be seen for so long, will not come any more. */
const lostAfterMs = 5000;

/** Turns the circuits that are due, each with its event: whichever worker comes first does it for all. */
export async function turnCircuits(sql: Database, policy: CircuitPolicy): Promise<void> {
  const windows = [policy.default, ...Object.values(policy.keys)].map(({ window_ms }) => window_ms);
  await sql.begin(async (tx) => {
    for (const circuit of await circuitsToTurn(tx, Math.max(...windows))) {
      const rule = circuitRuleFor(policy, circuit.key);
      const seen =
        circuit.state === "closed" ? circuit.calls.filter((call) => call.ageMs <= rule.window_ms) : circuit.calls;
      const ok = seen.reduce((sum, call) => sum + call.ok, 0);
      const failed = seen.reduce((sum, call) => sum + call.failed, 0);
      const turned = turnCircuit({ ...circuit, ok, failed }, rule);
      if (!turned) {
        const lost =
          circuit.state === "half_open" && circuit.probes === 0 && !circuit.held && circuit.openMs > lostAfterMs;
        if (lost && ok < rule.half_open_probes) await grantProbes(tx, circuit.lane, rule.half_open_probes - ok);
        continue;
      }
      const { to, because } = turned;
      await turn(tx, { ...circuit, state: to, because, byHand: false, probes: rule.half_open_probes, by: null });
    }
  });
}

/**
 * Opens or closes a circuit by hand; one that is open by hand stays open until it is closed by hand. Throws `not_found`
 * for a lane that is not there.
 */
export async function setCircuitByHand(
  sql: Database,
  { key, state, by, reason }: { key: string; state: "open" | "closed"; by: string; reason: string },
): Promise<void> {
  const lane = await laneOf(sql, key);
  if (lane === null) throw new Failure("not_found", `there is no lane ${key}: keys are service.role.shard`);
  const because = `${by}: ${reason}`;
  await sql.begin((tx) => turn(tx, { lane, key, state, because, byHand: state === "open", probes: 0, by }));
}

type Turn = {
  lane: number;
  key: string;
  state: CircuitState;
  because: string;
  byHand: boolean;
  probes: number;
  by: string | null;
};

async function turn(tx: Sql, { key, by, ...circuit }: Turn): Promise<void> {
  const { state, because } = circuit;
  await setCircuit(tx, circuit);
  const kind = state === "open" ? "circuit_opened" : `circuit_${state}`;
  await tellAlone(tx, { kind, details: { key, because, by } });
}
