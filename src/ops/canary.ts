import type { Agent, AgentRef } from "../contracts/agent.ts";
import { Failure } from "../contracts/failure.ts";
import type { PromoteRequest } from "../contracts/registry.ts";
import { handOverCanaries, pauseAgent, putAgent } from "../store/agents.ts";
import { beginTest, type CanaryTest, canaryTests, endTest } from "../store/canaries.ts";
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
    const tests = await canaryTests(tx);
    const test = tests.find((one) => one.agent_id === canary.id && one.agent_version === canary.version);
    if (!force) mustBeFit(canary, test);
    mustDoAsMuch(canary, stable);
    await takeOver(tx, { registrar, canary, stable, known, test });
    return refOf(canary);
  });
}

function stableIn(known: Agent[], { id, version, canary_of }: Agent): Agent {
  const stable = known.find((one) => one.id === canary_of?.agent_id && one.version === canary_of.agent_version);
  if (stable) return stable;
  throw refusal("conflict", [{ path: "/version", message: `${id} ${version} is no canary` }]);
}

function mustBeFit({ id, version, paused }: Agent, test: CanaryTest | undefined): void {
  if (paused) {
    throw new Failure("conflict", `${id} ${version} was paused by ${paused.by}; force promotes it all the same`, {
      evidence: paused.evidence,
    });
  }
  if (test?.verdict === "not_worse") return;
  const calls = (test?.canary_good ?? 0) + (test?.canary_bad ?? 0);
  const said = `the test of ${id} ${version} has not said after ${calls} calls that it is not worse; force promotes it all the same`;
  throw new Failure("conflict", said, { test: test ?? null });
}

function mustDoAsMuch(canary: Agent, stable: Agent): void {
  const missing = stable.intents.filter((intent) => !canary.intents.includes(intent));
  if (missing.length === 0) return;
  const said = `does not do ${missing.join(", ")}, and ${stable.id} ${stable.version} does: add it first`;
  throw refusal("conflict", [{ path: "/intents", message: said }]);
}

type TakeOver = { registrar: Registrar; canary: Agent; stable: Agent; known: Agent[]; test: CanaryTest | undefined };

async function takeOver(tx: Sql, { registrar, canary, stable, known, test }: TakeOver): Promise<void> {
  const [to, from] = [refOf(canary), refOf(stable)];
  await putAgent(tx, { ...canary, canary_of: null, canary_pct: 0, mode: "live", enabled: true });
  await pauseAgent(tx, to, null);
  await endTest(tx, to);
  await putAgent(tx, { ...stable, enabled: false });
  await handOverCanaries(tx, from, to);
  const others = known.filter(({ canary_of: of }) => of?.agent_id === stable.id && of.agent_version === stable.version);
  for (const other of others.filter((one) => one !== canary)) await beginTest(tx, refOf(other));
  await tell(tx, registrar, { kind: "canary_promoted", agent: canary, details: { stable: from, test: test ?? null } });
}
