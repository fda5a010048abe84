import type { Agent, AgentRef } from "../contracts/agent.ts";
import { CanaryState } from "../contracts/canary.ts";
import { Failure } from "../contracts/failure.ts";
import type { PromoteRequest } from "../contracts/registry.ts";
import { handOverCanaries, pauseAgent, putAgent } from "../store/agents.ts";
import { beginTrial, endTrial, type Trial, trials } from "../store/canaries.ts";
import type { Sql } from "../store/database.ts";
import { changing, type Registrar, refOf, refusal, tell, theOne } from "./registry.ts";

/**
 * Puts a canary in the place of its stable: it takes all keys, the stable is disabled and stays to go back to, and the
 * stable's other canaries become its own. Throws `not_found`, and `conflict` when it is no canary, is paused, does less
 * than its stable, or its test has not said that it is not worse (`force`: all the same).
 */
export async function promoteCanary(
  registrar: Registrar,
  id: string,
  { version, force }: PromoteRequest,
): Promise<AgentRef> {
  return changing(registrar, async (tx, known) => {
    const canary = theOne(
      known.filter(({ canary_of }) => canary_of !== null || version !== undefined),
      id,
      version,
    );
    const stable = stableIn(known, canary);
    const trial = (await trials(tx)).find((one) => one.agent_id === canary.id && one.agent_version === canary.version);
    if (!force) mustBeFit(canary, trial);
    mustDoAsMuch(canary, stable);
    await takeOver(tx, {
      by: registrar.by,
      traceId: registrar.traceId,
      canary,
      stable,
      known,
      evidence: trial?.state ?? null,
    });
    return refOf(canary);
  });
}

function stableIn(known: Agent[], { id, version, canary_of }: Agent): Agent {
  const stable = known.find((one) => one.id === canary_of?.agent_id && one.version === canary_of.agent_version);
  if (stable) return stable;
  throw refusal("conflict", [{ path: "/version", message: `${id} ${version} is no canary` }]);
}

function mustBeFit({ id, version, paused }: Agent, trial: Trial | undefined): void {
  if (paused) {
    throw new Failure("conflict", `${id} ${version} was paused by ${paused.by}; force promotes it all the same`, {
      evidence: paused.evidence,
    });
  }
  if (trial?.verdict === "not_worse") return;
  const { seen, open } = trial?.state ?? none;
  const calls = seen.canary.good + seen.canary.bad + open.canary.good + open.canary.bad;
  const said = `the test of ${id} ${version} has not said after ${calls} calls that it is not worse; force promotes it all the same`;
  throw new Failure("conflict", said, { verdict: trial?.verdict ?? "open", state: trial?.state ?? none });
}

const none = CanaryState.parse({});

/** Whether a canary does all that its stable does: else some work would be left to nobody. */
export function doesAsMuch(canary: Agent, stable: Agent): boolean {
  return stable.intents.every((intent) => canary.intents.includes(intent));
}

function mustDoAsMuch(canary: Agent, stable: Agent): void {
  if (doesAsMuch(canary, stable)) return;
  const missing = stable.intents.filter((intent) => !canary.intents.includes(intent));
  const said = `does not do ${missing.join(", ")}, and ${stable.id} ${stable.version} does: add it first`;
  throw refusal("conflict", [{ path: "/intents", message: said }]);
}

type TakeOver = {
  by: string;
  traceId: string | null;
  canary: Agent;
  stable: Agent;
  known: Agent[];
  evidence: object | null; // what speaks for the canary
};

/** Puts the canary in the place of the stable, inside a transaction that holds the registry. */
export async function takeOver(tx: Sql, { by, traceId, canary, stable, known, evidence }: TakeOver): Promise<void> {
  const [to, from] = [refOf(canary), refOf(stable)];
  await putAgent(tx, { ...canary, canary_of: null, canary_pct: 0, mode: "live", enabled: true });
  await pauseAgent(tx, to, null);
  await endTrial(tx, to);
  await putAgent(tx, { ...stable, enabled: false });
  await handOverCanaries(tx, from, to);
  const others = known.filter(({ canary_of: of }) => of?.agent_id === stable.id && of.agent_version === stable.version);
  for (const other of others.filter((one) => one !== canary)) await beginTrial(tx, refOf(other));
  await tell(tx, { by, traceId }, { kind: "canary_promoted", agent: canary, details: { stable: from, evidence } });
}
