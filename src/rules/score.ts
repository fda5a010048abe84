import type { Standing } from "../contracts/agent.ts";
import type { Candidate } from "../contracts/decision.ts";

/** What a decision depends on besides the agents. */
export type Wish = {
  tenant: string;
  intent: string;
  bucket: number; // 0..99, the canary draw of the key
};

/** An agent that was not heard from for this long is not chosen. */
export const silenceMs = 10_000;

const weights = { success: 0.6, idle: 0.3, price: 0.1 };

/**
 * Judges every agent, best first, the excluded ones last. Pure: the same input always gives the same order.
 *
 * A score is the sum of its terms (0..1). A canary does not compete by score: it is excluded when its draw says that
 * it rests, and goes first when it was drawn, so load and canary share never stand on one number.
 */
export function score(agents: Standing[], wish: Wish): Candidate[] {
  const dearest = Math.max(0, ...agents.map(({ price }) => price.per_1k_tokens_usd));
  const rank = ({ excluded, canary }: Candidate) => (excluded !== null ? 2 : canary ? 0 : 1);
  return agents
    .map((agent) => judge(agent, wish, dearest))
    .sort((a, b) => rank(a) - rank(b) || b.score - a.score || compare(a.agent_id, b.agent_id));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function judge(agent: Standing, wish: Wish, dearest: number): Candidate {
  const excluded = exclusion(agent, wish);
  const identity = { agent_id: agent.id, agent_version: agent.version, canary: agent.canary_of !== null };
  if (excluded) return { ...identity, excluded, score: 0, terms: {}, reasons: [`excluded: ${excluded}`] };

  const { good, bad } = totals(agent);
  // Mean of Beta(1 + good, 1 + bad): an agent without a record starts at 0.5 (Laplace's rule of succession).
  const success = (1 + good) / (2 + good + bad);
  const idle = Math.max(0, 1 - agent.in_flight / agent.capacity);
  const cheap = dearest === 0 ? 1 : 1 - agent.price.per_1k_tokens_usd / dearest;
  const terms = { success: weights.success * success, idle: weights.idle * idle, price: weights.price * cheap };
  const plus = (share: number) => `+${share.toFixed(2)}`;
  const reasons = [
    `${plus(terms.success)} success ${success.toFixed(2)} ${record(agent)}`,
    `${plus(terms.idle)} idle ${idle.toFixed(2)} of capacity ${agent.capacity}`,
    `${plus(terms.price)} price ${agent.price.per_1k_tokens_usd} USD per 1,000 tokens`,
  ];
  if (identity.canary) reasons.push(`drawn as a canary: ${wish.bucket} is below ${agent.canary_pct} %`);
  return { ...identity, excluded: null, score: terms.success + terms.idle + terms.price, terms, reasons };
}

function totals({ stats }: Standing): { good: number; bad: number } {
  return stats.reduce((sum, { good, bad }) => ({ good: sum.good + good, bad: sum.bad + bad }), { good: 0, bad: 0 });
}

function record(agent: Standing): string {
  const { good, bad } = totals(agent);
  return good + bad === 0 ? "assumed, nothing has ended yet" : `over ${good + bad} ended traces`;
}

/** Why an agent cannot be chosen, in words; null when it can. */
function exclusion(agent: Standing, { tenant, intent, bucket }: Wish): string | null {
  if (!agent.enabled) return "it is disabled";
  if (!agent.intents.some((known) => known === intent)) return `it does not do ${intent}`;
  if (agent.tenants.length > 0 && !agent.tenants.includes(tenant)) return `it does not work for tenant ${tenant}`;
  if (agent.silent_ms > silenceMs) return `it has been silent for ${Math.round(agent.silent_ms / 1000)} s`;
  if (agent.canary_of !== null && bucket >= agent.canary_pct) {
    return `a canary at rest: the draw ${bucket} is not below ${agent.canary_pct} %`;
  }
  return null;
}
