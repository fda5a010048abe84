import type { LimitsPolicy, RoleLimits, TenantLimits } from "../contracts/policy.ts";

/** The limits of `service.role`: what its key says, over the default. */
export function roleLimits({ roles }: LimitsPolicy, name: string): RoleLimits {
  const { default: usual } = roles;
  const own = said(roles.keys, name) ?? {};
  const { max_waiting = usual.max_waiting, max_running = usual.max_running, rate = usual.rate } = own;
  return { max_waiting, max_running, rate };
}

/** The limits of a tenant: what its key says, over the default. */
export function tenantLimits({ tenants }: LimitsPolicy, name: string): TenantLimits {
  const { default: usual } = tenants;
  const own = said(tenants.keys, name) ?? {};
  const { max_waiting = usual.max_waiting, max_running = usual.max_running, rate = usual.rate } = own;
  return { max_waiting, max_running, rate };
}

/** Whether anything at all may run only so many times at once. */
export function limitsRunning({ roles, tenants }: LimitsPolicy): boolean {
  const all = [roles.default, tenants.default, ...Object.values(roles.keys), ...Object.values(tenants.keys)];
  return all.some(({ max_running }) => typeof max_running === "number");
}

/** Under which names messages of a role and a tenant count, and how many may be in hand at one time under each. */
export function runningCaps(
  policy: LimitsPolicy,
  { role, tenant }: { role: string; tenant: string },
): { name: string; most: number }[] {
  const ofRole = roleLimits(policy, role).max_running;
  const ofTenant = tenantLimits(policy, tenant).max_running;
  return [
    ...(ofRole === null ? [] : [{ name: `role ${role}`, most: ofRole }]),
    ...(ofTenant === null ? [] : [{ name: `tenant ${tenant}`, most: ofTenant }]),
  ];
}

/** What a record itself has under a name that came from outside. */
function said<Value>(keys: Record<string, Value>, name: string): Value | undefined {
  return Object.hasOwn(keys, name) ? keys[name] : undefined;
}
