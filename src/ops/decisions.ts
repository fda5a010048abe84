import type { Agent, AgentRef } from "../contracts/agent.ts";
import type { CanaryPlan } from "../contracts/choice.ts";
import { Intent } from "../contracts/message.ts";
import type { DecisionNumbers, OrchestratorSummary } from "../contracts/orchestrator.ts";
import { verdictOf } from "../rules/trial.ts";
import { allAgents } from "../store/agents.ts";
import { trials } from "../store/canaries.ts";
import type { Database } from "../store/database.ts";
import { decisionNumbers, type GroupNumbers, refusedDecisions } from "../store/orchestrator.ts";

export type Asked = { now: Date; windowS: number; tenant: string | null; plan: CanaryPlan };

/** How the orchestrator decided in the last `windowS` seconds (`tenant` null: for everybody), and how that ended. */
export async function summariseDecisions(
  sql: Database,
  { now, windowS, tenant, plan }: Asked,
): Promise<OrchestratorSummary> {
  const [all, refused, agents, tests] = await Promise.all([
    decisionNumbers(sql, { windowS, tenant }),
    refusedDecisions(sql, { windowS, tenant }),
    allAgents(sql),
    trials(sql),
  ]);
  const groups = all.filter(({ copy }) => !copy);
  const groupOf = (ref: AgentRef, copy: boolean) =>
    all.find((one) => one.copy === copy && one.agent_id === ref.agent_id && one.agent_version === ref.agent_version);
  const trialOf = ({ id, version }: Agent) => {
    const trial = tests.find((one) => one.agent_id === id && one.agent_version === version);
    return trial ? verdictOf(trial.state, plan) : null;
  };
  return {
    at: now.toISOString(),
    window_s: windowS,
    total: numbersOf(groups.find((one) => one.intent === null && one.tenant === null && one.agent_id === null)),
    by_intent: groups.flatMap((one) =>
      one.intent === null ? [] : [{ intent: Intent.parse(one.intent), ...numbersOf(one) }],
    ),
    by_tenant: groups.flatMap((one) => (one.tenant === null ? [] : [{ tenant: one.tenant, ...numbersOf(one) }])),
    by_agent: groups.flatMap((one) => {
      const { agent_id, agent_version } = one;
      return agent_id === null || agent_version === null ? [] : [{ agent_id, agent_version, ...numbersOf(one) }];
    }),
    refused,
    canaries: agents.flatMap((agent) =>
      agent.canary_of ? [{ ...canaryOf(agent, agent.canary_of, groupOf), trial: trialOf(agent) }] : [],
    ),
  };
}

/** A canary beside its stable; of a shadow, the copies it worked on. */
function canaryOf(
  agent: Agent,
  stable: AgentRef,
  groupOf: (ref: AgentRef, copy: boolean) => GroupNumbers | undefined,
): Omit<OrchestratorSummary["canaries"][number], "trial"> {
  const canary = { agent_id: agent.id, agent_version: agent.version };
  const { service_role, mode, canary_pct, paused } = agent;
  const own = groupOf(canary, mode === "shadow");
  const { compared, same_outcome, same_text } = own ?? none;
  return {
    canary,
    stable,
    service_role,
    mode,
    canary_pct,
    paused,
    compared: mode === "shadow" ? { count: compared, same_outcome, same_text } : null,
    of_canary: numbersOf(own),
    of_stable: numbersOf(groupOf(stable, false)),
  };
}

const none: Omit<GroupNumbers, "copy" | "intent" | "tenant" | "agent_id" | "agent_version"> = {
  decisions: 0,
  open: 0,
  good: 0,
  bad: 0,
  void: 0,
  p50: null,
  p95: null,
  tokens: null,
  cost_usd: null,
  explored: 0,
  canary: 0,
  fallbacks: 0,
  compared: 0,
  same_outcome: 0,
  same_text: 0,
};

function numbersOf(group: typeof none = none): DecisionNumbers {
  const { decisions, open, good, bad, p50, p95, tokens, cost_usd, explored, canary, fallbacks } = group;
  const share = (part: number, whole: number) => (whole === 0 ? null : part / whole);
  return {
    decisions,
    open,
    good,
    bad,
    void: group.void,
    success_rate: share(good, good + bad),
    latency_ms: p50 !== null && p95 !== null ? { p50, p95 } : null,
    tokens,
    cost_usd,
    explored_share: share(explored, decisions),
    canary_share: share(canary, decisions),
    fallbacks,
  };
}
