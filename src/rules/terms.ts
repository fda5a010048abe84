import type { Standing } from "../contracts/agent.ts";
import type { ChoiceRule, Weights } from "../contracts/choice.ts";
import type { DecisionInputs } from "../contracts/decision.ts";
import type { Belief } from "./beta.ts";

/** One part of a score: what it is worth, and the words for it. */
export type Term = { name: string; share: number; reason: string };

/** What is known about the others, for what is not known about one. */
export type Peers = { latency_ms: number | null };

/**
 * What speaks for an agent, a term for each weight that is not nothing, and 'curiosity' beside success. Each value is
 * 0..1 and does not depend on who else is there (but for a latency that nobody has seen yet), so one agent more or less
 * changes nobody's score. The shares sum to at most 1.
 */
export function termsOf(
  agent: Standing,
  belief: Belief,
  { inputs, peers }: { inputs: DecisionInputs; peers: Peers },
): Term[] {
  const { rule } = inputs;
  const { weights } = rule;
  const whole = Object.values(weights).reduce((sum, weight) => sum + weight, 0) || 1;
  const terms: Term[] = [];
  const add = (name: keyof Weights | "curiosity", weight: number, [value, words]: readonly [number, string]) => {
    if (weight === 0) return;
    const share = (weight / whole) * value;
    terms.push({ name, share, reason: `+${two(share)} ${words}` });
  };
  add("success", weights.success, [belief.mean, successWords(belief)]);
  if (rule.exploration.optimism > 0) add("curiosity", weights.success, curiosity(belief, rule));
  add("latency", weights.latency, latency(agent, inputs, peers));
  add("load", weights.load, load(agent));
  add("price", weights.price, price(agent, rule));
  add("circuit", weights.circuit, circuit(agent));
  add("fit", weights.fit, fitness(agent, inputs));
  add("affinity", weights.affinity, affinity(agent, inputs));
  return terms;
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
  return `success ${two(mean)} ± ${two(sd)} ${stands}`;
}

function curiosity({ mean, sd }: Belief, { exploration: { optimism } }: ChoiceRule): [number, string] {
  const more = Math.min(optimism * sd, 1 - mean);
  return [more, `curiosity: it could be as good as ${two(mean + more)}`];
}

function latency({ stats }: Standing, { intent, rule }: DecisionInputs, peers: Peers): [number, string] {
  const known = stats.find((one) => one.intent === intent)?.latency_ms ?? null;
  const assumed = known ?? peers.latency_ms;
  if (assumed === null) return [0.5, "latency not known of anybody yet"];
  const value = rule.latency_half_ms / (rule.latency_half_ms + assumed);
  return [value, `latency ${seconds(assumed)}${known === null ? " assumed: that of the others" : ""}`];
}

function load({ in_flight, capacity }: Standing): [number, string] {
  return [capacity / (capacity + in_flight), `load: ${in_flight} in hand, ${capacity} at a time`];
}

function price(agent: Standing, rule: ChoiceRule): [number, string] {
  const usd = priceOf(agent, rule);
  return [rule.price_half_usd / (rule.price_half_usd + usd), usd === 0 ? "price: free" : `price: ${usd} USD a call`];
}

function circuit({ circuit: known }: Standing): [number, string] {
  if (known?.state === "half_open") return [0.25, `circuit half open on ${known.key}: on trial`];
  return [1, "circuit closed"];
}

function fitness({ languages }: Standing, { language }: DecisionInputs): [number, string] {
  if (language === null) return [1, "fit: no language was asked for"];
  if (languages.includes(language)) return [1, `fit: made for ${language}`];
  return [0.5, "fit: takes any language"];
}

function affinity({ id, tenants }: Standing, { tenant, rule }: DecisionInputs): [number, string] {
  if (rule.prefer.includes(id)) return [1, "affinity: preferred by the policy"];
  if (tenants.length > 0) return [1, `affinity: kept for ${tenant}`];
  return [0, "affinity: neither preferred nor kept for the tenant"];
}

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

const hundredths = Array.from({ length: 101 }, (_, n) => (n / 100).toFixed(2));

/** Two digits after the point; fast, because a decision says it thousands of times. */
function two(share: number): string {
  return hundredths[Math.round(share * 100)] ?? share.toFixed(2);
}
