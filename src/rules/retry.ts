import type { Failure } from "../contracts/failure.ts";
import type { RetryPolicy, RetryRule } from "../contracts/policy.ts";

/** What becomes of a failed attempt: tried again after `delayMs`, or never again by itself, with the reason why. */
export type Verdict = { again: true; delayMs: number } | { again: false; why: string };

/** The rule for a message: that of `service.role.shard`, else `service.role`, else `service`, else the default. */
export function ruleFor(policy: RetryPolicy, { service, role, shard }: Address): RetryRule {
  const keys = [`${service}.${role}.${shard}`, `${service}.${role}`, service];
  const key = keys.find((candidate) => Object.hasOwn(policy.keys, candidate));
  return (key && policy.keys[key]) || policy.default;
}

type Address = { service: string; role: string; shard: number };

/**
 * Judges a failed attempt. `attempts` counts those begun, this one included; `chance` is 0..1 and drives the jitter.
 * A failure may bring a `max_attempts` of its own (sandbox violations do); the smaller number wins.
 */
export function judge(
  failure: Failure,
  rule: RetryRule,
  { attempts, chance }: { attempts: number; chance: number },
): Verdict {
  if (!failure.retry) return { again: false, why: `${failure.code} is not tried again` };
  const own = failure.details.max_attempts;
  const most = typeof own === "number" ? Math.min(own, rule.max_attempts) : rule.max_attempts;
  if (attempts >= most) return { again: false, why: `attempt ${attempts} of ${most} failed` };

  const full = Math.min(rule.cap_ms, rule.base_ms * rule.factor ** (attempts - 1));
  const asked = failure.details.retry_after_ms; // what the other side asked for, e.g. a 429
  const delayMs = Math.round(full * (1 - rule.jitter * chance));
  return { again: true, delayMs: typeof asked === "number" ? Math.max(delayMs, Math.min(asked, 3_600_000)) : delayMs };
}
