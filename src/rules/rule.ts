import { createHash } from "node:crypto";
import type { ChoiceOverride, ChoiceRule, OrchestratorPolicy, RuleChange } from "../contracts/choice.ts";

/** Whose choice it is. */
type Whose = { tenant: string; intent: string };

/** The rule in effect: the default, changed for the intent, then for the tenant, then for both; the later wins. */
export function ruleFor({ default: base, overrides }: OrchestratorPolicy, whose: Whose): ChoiceRule {
  const rank = ({ tenant, intent }: ChoiceOverride) => (tenant === undefined ? 0 : intent === undefined ? 1 : 2);
  return overrides
    .filter(({ tenant = whose.tenant, intent = whose.intent }) => tenant === whose.tenant && intent === whose.intent)
    .sort((a, b) => rank(a) - rank(b))
    .reduce((rule, { tenant, intent, ...change }) => changed(rule, change), base);
}

/** A rule with something different: what is not named stays, each weight too. */
export function changed(rule: ChoiceRule, { weights, exploration, ...rest }: RuleChange): ChoiceRule {
  return {
    ...over<Omit<ChoiceRule, "weights" | "exploration">>(rule, rest),
    weights: over(rule.weights, weights ?? {}),
    exploration: over(rule.exploration, exploration ?? {}),
  };
}

function over<Fields extends object>(
  base: Fields,
  change: { [Name in keyof Fields]?: Fields[Name] | undefined },
): Fields {
  const result = { ...base };
  for (const name in change) {
    const value = change[name];
    if (value !== undefined) result[name] = value;
  }
  return result;
}

/** A short name for a rule: the same for the same rule, whatever the order of its fields. 12 hex digits of SHA-256. */
export function hashOf(rule: ChoiceRule): string {
  return createHash("sha256")
    .update(JSON.stringify(sorted(rule)))
    .digest("hex")
    .slice(0, 12);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, part]) => [name, sorted(part)]),
  );
}
