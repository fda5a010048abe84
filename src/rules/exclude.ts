import type { AgentRef, Standing } from "../contracts/agent.ts";
import type { DecisionInputs, Exclusion } from "../contracts/decision.ts";
import { priceOf } from "./terms.ts";

/** An agent that was not heard from for this long is not chosen. */
export const silenceMs = 10_000;

/** Why somebody cannot be chosen: in one word for programs, in words for people. */
export type Excluded = { exclusion: Exclusion; words: string };

/** Why an agent cannot be chosen for this work, canary draws aside: the first reason that is true. Null: it can. */
export function exclusionOf(agent: Standing, inputs: DecisionInputs): Excluded | null {
  const { tenant, intent, capabilities, language, tried, rule, at } = inputs;
  const no = (exclusion: Exclusion, words: string) => ({ exclusion, words });
  if (!agent.enabled) return no("disabled", "it is disabled");
  if (agent.paused) return no("paused", `it was paused by ${agent.paused.by} at ${clock(agent.paused.at, at)}`);
  if (agent.mode === "shadow") return no("shadow", "it is a shadow: it works on copies only");
  if (!agent.intents.some((known) => known === intent)) return no("intent", `it does not do ${intent}`);
  const missing = capabilities.filter((asked) => !agent.capabilities.includes(asked));
  if (missing.length > 0) return no("capability", `it is not known for ${missing.join(", ")}`);
  if (language !== null && agent.languages.length > 0 && !agent.languages.includes(language)) {
    return no("language", `it does not know ${language}`);
  }
  if (agent.tenants.length > 0 && !agent.tenants.includes(tenant)) {
    return no("tenant", `it does not work for tenant ${tenant}`);
  }
  if (rule.forbid.includes(agent.id)) return no("forbidden", `the policy forbids it for ${tenant} and ${intent}`);
  if (agent.barred !== null) return no("address", `its address may not be called: ${agent.barred}`);
  if (tried.some((ref) => isRef(agent, ref))) return no("tried", "it was tried before and failed at this work");
  if (agent.silent_ms > silenceMs) {
    return no("silent", `it has been silent for ${Math.round(agent.silent_ms / 1000)} s`);
  }
  if (agent.circuit?.state === "open") {
    return no("circuit", `circuit open on ${agent.circuit.key} since ${clock(agent.circuit.since, at)}`);
  }
  const price = priceOf(agent, rule);
  if (rule.max_usd_per_call !== null && price > rule.max_usd_per_call) {
    return no("price", `a call costs about ${price} USD, and ${rule.max_usd_per_call} are allowed`);
  }
  if (rule.max_load !== null && agent.in_flight >= rule.max_load * agent.capacity) {
    return no("load", `it has ${agent.in_flight} in hand and takes ${agent.capacity} at a time`);
  }
  return null;
}

export function isRef({ id, version }: { id: string; version: string }, ref: AgentRef): boolean {
  return ref.agent_id === id && ref.agent_version === version;
}

/** 14:03 when it was the same day (UTC), else 2030-01-01 14:03. */
function clock(at: string, now: string): string {
  const time = at.slice(11, 16);
  return at.slice(0, 10) === now.slice(0, 10) ? time : `${at.slice(0, 10)} ${time}`;
}
