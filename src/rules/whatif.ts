import type { AgentRef, Standing } from "../contracts/agent.ts";
import type { Choice, DecisionInputs } from "../contracts/decision.ts";
import type { WhatIfRequest } from "../contracts/orchestrator.ts";
import { choose } from "./choose.ts";
import type { Logged } from "./offpolicy.ts";
import { changed, ruleFor } from "./rule.ts";

/** A decision of the record, and how its work ended; `good` null: it says nothing of the agent, or has not ended. */
export type Recorded = { chosen: AgentRef; propensity: number; inputs: DecisionInputs; good: boolean | null };

/** What another policy, or another set of agents, would have made of a decision. `logged` null: nothing to learn from. */
export type Imagined = { choice: Choice; differs: boolean; logged: Logged | null };

type Difference = Pick<WhatIfRequest, "policy" | "rule" | "without" | "agents">;

/** Makes a decision again with something different. Pure: the draws are those of the record. */
export function imagine({ chosen, propensity, inputs, good }: Recorded, difference: Difference): Imagined {
  const choice = choose(inputsWith(inputs, difference));
  const target = choice.candidates
    .filter((one) => one.propensity > 0)
    .map((one) => ({ arm: nameOf(one), probability: one.propensity }));
  const differs = choice.chosen === null || nameOf(choice.chosen) !== nameOf(chosen);
  const logged = good === null ? null : { arm: nameOf(chosen), context: inputs.intent, propensity, good, target };
  return { choice, differs, logged };
}

function inputsWith(inputs: DecisionInputs, { policy, rule, without, agents }: Difference): DecisionInputs {
  const before = policy ? ruleFor(policy, inputs) : inputs.rule;
  return {
    ...inputs,
    rule: rule ? changed(before, rule) : before,
    agents: inputs.agents.filter(({ id }) => !without.includes(id)).map((agent) => agentWith(agent, agents)),
  };
}

function agentWith(agent: Standing, changes: Difference["agents"]): Standing {
  const own = changes.filter(
    ({ agent_id, agent_version = agent.version }) => agent_id === agent.id && agent_version === agent.version,
  );
  const fields = own.flatMap(({ agent_id, agent_version, ...change }) => Object.entries(change));
  return { ...agent, ...Object.fromEntries(fields.filter(([, value]) => value !== undefined)) };
}

/** What an agent in a version is called where decisions are compared. */
export function nameOf({ agent_id, agent_version }: AgentRef): string {
  return `${agent_id} ${agent_version}`;
}
