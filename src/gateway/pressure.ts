import { addressOf } from "../bus/roles.ts";
import { Failure } from "../contracts/failure.ts";
import type { LimitsPolicy, Rate } from "../contracts/policy.ts";
import { roleLimits, tenantLimits } from "../rules/quota.ts";
import { foldDeltas } from "../store/backlog.ts";
import type { Database, Sql } from "../store/database.ts";
import { hasDue, laneFill, takeToken } from "../store/limits.ts";

const fullRetryMs = 2000; // how soon a full lane is worth another try
const looseMost = 1000; // workers fold them every second; without workers somebody must

/**
 * Refuses a new request when its lane is full, when its tenant has too much waiting there, or comes too fast. Throws
 * `too_many_requests` with `retry_after_ms`; nothing was stored then. Requests that arrive in the same moment do not see
 * each other, so a lane may end a few above its limit; a rate is exact.
 */
export async function refuseTooMany(
  sql: Database,
  { tenant, to, policy }: { tenant: string; to: string; policy: LimitsPolicy },
): Promise<void> {
  const { rate, max_waiting: ofTenant } = tenantLimits(policy, tenant);
  const { max_waiting: ofLane, rate: roleRate } = roleLimits(policy, to);
  if (ofLane !== null || ofTenant !== null) await refuseFull(sql, { tenant, to, ofLane, ofTenant });
  if (rate === null && roleRate === null) return;
  // Who is refused for one of the two has not used up the other.
  await sql.begin(async (tx) => {
    if (rate) await mustHaveToken(tx, { tenant }, rate);
    if (roleRate) await mustHaveToken(tx, { role: to }, roleRate);
  });
}

async function mustHaveToken(tx: Sql, whose: { tenant: string } | { role: string }, rate: Rate): Promise<void> {
  const waitMs = await takeToken(tx, whose, rate);
  if (waitMs === null) return;
  const what = "tenant" in whose ? `${whose.tenant} may send` : `${whose.role} takes`;
  throw tooMany(`${what} ${rate.per_s} requests a second; try again in ${waitMs} ms`, {
    limit: "tenant" in whose ? "rate" : "role_rate",
    retry_after_ms: waitMs,
  });
}

type Waiting = { tenant: string; to: string; ofLane: number | null; ofTenant: number | null };

async function refuseFull(sql: Database, { tenant, to, ofLane, ofTenant }: Waiting): Promise<void> {
  const fill = await laneFill(sql, await addressOf(sql, { to, key: tenant }));
  if (!fill) return;
  if (fill.loose > looseMost) await foldDeltas(sql);
  if (ofLane !== null && fill.waiting >= ofLane) {
    throw tooMany(`${fill.waiting} messages wait for ${to}, and ${ofLane} may; try again later`, {
      limit: "lane",
      retry_after_ms: fullRetryMs,
    });
  }
  // A tenant has no more waiting than its lane has: only a lane that could be too much for one is counted.
  if (ofTenant === null || fill.ready < ofTenant) return;
  if (await hasDue(sql, { lane: fill.lane, tenant, most: ofTenant })) {
    throw tooMany(`${tenant} has ${ofTenant} messages waiting for ${to}, and no more may; try again later`, {
      limit: "tenant",
      retry_after_ms: fullRetryMs,
    });
  }
}

function tooMany(message: string, details: { limit: string; retry_after_ms: number }): Failure {
  return new Failure("too_many_requests", message, details);
}
