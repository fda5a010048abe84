import type { LimitsPolicy, RoleLimits, TenantLimits } from "../contracts/policy.ts";

/** The limits of `service.role`: what its key says, over the default. */
export function roleLimits({ roles }: LimitsPolicy, name: string): RoleLimits {
  const { default: usual } = roles;
  const { max_waiting = usual.max_waiting } = said(roles.keys, name) ?? {};
  return { max_waiting };
}

/** The limits of a tenant: what its key says, over the default. */
export function tenantLimits({ tenants }: LimitsPolicy, name: string): TenantLimits {
  const { default: usual } = tenants;
  const own = said(tenants.keys, name) ?? {};
  const { max_waiting = usual.max_waiting, rate = usual.rate } = own;
  return { max_waiting, rate };
}

/** What a record itself has under a name that came from outside. */
function said<Value>(keys: Record<string, Value>, name: string): Value | undefined {
  return Object.hasOwn(keys, name) ? keys[name] : undefined;
}
