import type { Agent } from "../contracts/agent.ts";
import type { CanaryEvidence } from "../contracts/canary.ts";
import type { CanaryPlan } from "../contracts/choice.ts";
import type { Outcome } from "../rules/outcome.ts";
import { observe, type TrialEnd, verdictOf } from "../rules/trial.ts";
import { pauseAgent } from "../store/agents.ts";
import { keepTrial, type Trial, trials } from "../store/canaries.ts";
import type { Sql } from "../store/database.ts";
import type { Ended } from "../store/ends.ts";
import { tellAlone } from "../store/events.ts";
import { doesAsMuch, takeOver } from "./canary.ts";
import { refOf, tell } from "./registry.ts";

/** Who acts when a test does. */
const by = "sequential test";

/**
 * Lets every canary's test see these ends, in the order in which they happened, and does what it says: a canary that is
 * worse is paused with the evidence and an alert; one that is not, after its planned calls, is promoted when the plan
 * says so, or said to be ready. Inside a transaction that holds the registry.
 */
export async function observeTrials(
  tx: Sql,
  { ends, agents, plan }: { ends: (Ended & { outcome: Outcome })[]; agents: Agent[]; plan: CanaryPlan },
): Promise<void> {
  const inOrder = [...ends].sort((a, b) => a.ended_at.getTime() - b.ended_at.getTime());
  for (const trial of await trials(tx)) {
    const canary = agents.find(({ id, version }) => id === trial.agent_id && version === trial.agent_version);
    if (!canary) continue;
    const seen = inOrder.flatMap((end) => sideOf(end, canary, trial));
    if (seen.length === 0) continue;
    const state = seen.reduce((before, end) => observe(before, end, plan), trial.state);
    const evidence = verdictOf(state, plan);
    await keepTrial(tx, { ...trial, state, verdict: evidence.verdict });
    if (evidence.verdict === "worse" && !canary.paused) await pause(tx, canary, evidence);
    if (evidence.verdict === "not_worse" && trial.verdict === "open")
      await welcome(tx, { canary, agents, evidence, plan });
  }
}

/**
 * On which side of a test an end counts: only work that either of the two could have been given counts, and none that
 * another agent had failed at before, which is harder than other work.
 */
function sideOf(end: Ended & { outcome: Outcome }, canary: Agent, { since }: Trial): TrialEnd[] {
  if (end.outcome === "void" || end.fallback_of !== null || end.at < since) return [];
  const good = end.outcome === "good";
  if (end.agent_id === canary.id && end.agent_version === canary.version) return [{ side: "canary", good }];
  const { canary_of: stable, intents, tenants } = canary;
  if (end.agent_id !== stable?.agent_id || end.agent_version !== stable.agent_version || end.shadow_of) return [];
  const shared = intents.includes(end.intent) && (tenants.length === 0 || tenants.includes(end.tenant));
  return shared ? [{ side: "stable", good }] : [];
}

async function pause(tx: Sql, canary: Agent, evidence: CanaryEvidence): Promise<void> {
  await pauseAgent(tx, refOf(canary), { by, evidence });
  await tell(
    tx,
    { by, traceId: null },
    { kind: "canary_paused", agent: canary, details: { stable: canary.canary_of, evidence } },
  );
  const text = `canary ${canary.id} ${canary.version} was paused: ${evidence.because}`;
  await tellAlone(tx, {
    kind: "alert_raised",
    details: { alert: "canary_paused", key: `canary.${canary.id}.${canary.version}`, text },
  });
}

type Fit = { canary: Agent; agents: Agent[]; evidence: CanaryEvidence; plan: CanaryPlan };

async function welcome(tx: Sql, { canary, agents, evidence, plan }: Fit): Promise<void> {
  const stable = agents.find(
    ({ id, version }) => id === canary.canary_of?.agent_id && version === canary.canary_of.agent_version,
  );
  if (
    plan.promote === "by_itself" &&
    canary.mode === "live" &&
    !canary.paused &&
    stable &&
    doesAsMuch(canary, stable)
  ) {
    return takeOver(tx, { by, traceId: null, canary, stable, known: agents, evidence });
  }
  await tell(
    tx,
    { by, traceId: null },
    { kind: "canary_ready", agent: canary, details: { stable: canary.canary_of, evidence } },
  );
}
