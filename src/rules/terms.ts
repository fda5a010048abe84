import type { Standing } from "../contracts/agent.ts";
import type { ChoiceRule, Weights } from "../contracts/choice.ts";
import type { DecisionInputs } from "../contracts/decision.ts";
import type { Belief } from "./beta.ts";

/** What is the same for everybody in one choice. */
export type Scale = {
  inputs: DecisionInputs;
  shares: Weights; // of a score of 1
  latency_ms: number | null; // the mean of what is known, for those of whom it is not; null: of nobody
};

/** Each term's share of a score. 'curiosity' is what success could be beyond what is known. */
export type Terms = Weights & { curiosity: number };

/** The scale of a choice. */
export function scaleOf(inputs: DecisionInputs): Scale {
  const { success, latency, load, price, circuit, fit, affinity } = inputs.rule.weights;
  const whole = success + latency + load + price + circuit + fit + affinity || 1;
  const shares = {
    success: success / whole,
    latency: latency / whole,
    load: load / whole,
    price: price / whole,
    circuit: circuit / whole,
    fit: fit / whole,
    affinity: affinity / whole,
  };
  return { inputs, shares, latency_ms: meanLatency(inputs) };
}

/**
 * What speaks for an agent. Each value is 0..1 and does not depend on who else is there (but for a latency that is not
 * known yet), so one agent more or less changes nobody's score; its weight makes it a share. They sum to 0..1.
 */
export function termsOf(agent: Standing, belief: Belief, scale: Scale): Terms {
  const { inputs, shares } = scale;
  return {
    success: shares.success * belief.mean,
    curiosity: shares.success * curiosity(belief, inputs),
    latency: shares.latency * promptness(latencyOf(agent, scale), inputs),
    load: shares.load * (agent.capacity / (agent.capacity + agent.in_flight)),
    price: shares.price * cheapness(agent, inputs),
    circuit: shares.circuit * (agent.circuit?.state === "half_open" ? 0.25 : 1),
    fit: shares.fit * fitness(agent, inputs),
    affinity: shares.affinity * affinity(agent, inputs),
  };
}

/** The terms in words, those that have a weight. */
export function reasonsOf(agent: Standing, belief: Belief, { terms, scale }: { terms: Terms; scale: Scale }): string[] {
  const { inputs, shares } = scale;
  const reasons: string[] = [];
  if (shares.success > 0) {
    reasons.push(`${plus(terms.success)} success ${successWords(belief)}`);
    const most = two(belief.mean + curiosity(belief, inputs));
    if (inputs.rule.exploration.optimism > 0)
      reasons.push(`${plus(terms.curiosity)} curiosity: it could be as good as ${most}`);
  }
  if (shares.latency > 0) reasons.push(`${plus(terms.latency)} latency ${latencyWords(agent, scale)}`);
  if (shares.load > 0) {
    reasons.push(`${plus(terms.load)} load: ${agent.in_flight} in hand, ${agent.capacity} at a time`);
  }
  if (shares.price > 0) reasons.push(`${plus(terms.price)} price: ${priceWords(agent, inputs)}`);
  if (shares.circuit > 0) reasons.push(`${plus(terms.circuit)} circuit ${circuitWords(agent)}`);
  if (shares.fit > 0) reasons.push(`${plus(terms.fit)} fit: ${fitWords(agent, inputs)}`);
  if (shares.affinity > 0) reasons.push(`${plus(terms.affinity)} affinity: ${affinityWords(agent, inputs)}`);
  return reasons;
}

/** What a call is expected to cost, USD. */
export function priceOf(
  { price: { per_call_usd, per_1k_tokens_usd } }: Standing,
  { tokens_per_call }: ChoiceRule,
): number {
  return per_call_usd + (per_1k_tokens_usd * tokens_per_call) / 1000;
}

function successWords({ mean, sd, calls }: Belief): string {
  const stands = calls < 0.5 ? "assumed: nothing has ended here yet" : `over ${Math.round(calls)} attempts`;
  return `${two(mean)} ± ${two(sd)} ${stands}`;
}

function curiosity({ mean, sd }: Belief, { rule }: DecisionInputs): number {
  return Math.min(rule.exploration.optimism * sd, 1 - mean);
}

function latencyOf(agent: Standing, { inputs, latency_ms }: Scale): number | null {
  return ownLatency(agent, inputs) ?? latency_ms;
}

function ownLatency({ stats }: Standing, inputs: DecisionInputs): number | null {
  for (const { intent, latency_ms } of stats) if (intent === inputs.intent) return latency_ms;
  return null;
}

function promptness(latencyMs: number | null, { rule }: DecisionInputs): number {
  return latencyMs === null ? 0.5 : rule.latency_half_ms / (rule.latency_half_ms + latencyMs);
}

function latencyWords(agent: Standing, scale: Scale): string {
  const latencyMs = latencyOf(agent, scale);
  if (latencyMs === null) return "not known of anybody yet";
  return ownLatency(agent, scale.inputs) === null
    ? `${seconds(latencyMs)} assumed: that of the others`
    : seconds(latencyMs);
}

function cheapness(agent: Standing, { rule }: DecisionInputs): number {
  return rule.price_half_usd / (rule.price_half_usd + priceOf(agent, rule));
}

function priceWords(agent: Standing, { rule }: DecisionInputs): string {
  const usd = priceOf(agent, rule);
  return usd === 0 ? "free" : `${usd} USD a call`;
}

function circuitWords({ circuit }: Standing): string {
  return circuit?.state === "half_open" ? `half open on ${circuit.key}: on trial` : "closed";
}

function fitness({ languages }: Standing, { language }: DecisionInputs): number {
  return language === null || languages.includes(language) ? 1 : 0.5;
}

function fitWords({ languages }: Standing, { language }: DecisionInputs): string {
  if (language === null) return "no language was asked for";
  return languages.includes(language) ? `made for ${language}` : "takes any language";
}

function affinity({ id, tenants }: Standing, { rule }: DecisionInputs): number {
  return rule.prefer.includes(id) || tenants.length > 0 ? 1 : 0;
}

function affinityWords({ id, tenants }: Standing, { tenant, rule }: DecisionInputs): string {
  if (rule.prefer.includes(id)) return "preferred by the policy";
  return tenants.length > 0 ? `kept for ${tenant}` : "neither preferred nor kept for the tenant";
}

function meanLatency(inputs: DecisionInputs): number | null {
  let [sum, count] = [0, 0];
  for (const agent of inputs.agents) {
    const known = ownLatency(agent, inputs);
    if (known === null) continue;
    sum += known;
    count += 1;
  }
  return count === 0 ? null : sum / count;
}

function seconds(ms: number): string {
  const tenths = Math.round(ms / 100);
  return ms < 1000 ? `${Math.round(ms)} ms` : `${Math.floor(tenths / 10)}.${tenths % 10} s`;
}

function plus(share: number): string {
  return `+${two(share)}`;
}

const hundredths = Array.from({ length: 101 }, (_, n) => (n / 100).toFixed(2));

/** Two digits after the point; from a table, because a decision says it thousands of times. */
function two(share: number): string {
  return hundredths[Math.round(share * 100)] ?? share.toFixed(2);
}
