import { z } from "zod";
import { BudgetPolicy } from "./budget.ts";
import { Role, Tenant } from "./message.ts";

/** How often, and how far apart, a message is tried. Delay before attempt n+1 = min(cap, base · factor^(n-1)). */
export const RetryRule = z.strictObject({
  max_attempts: z.number().int().min(1).max(100),
  base_ms: z.number().int().min(0).max(3_600_000),
  factor: z.number().min(1).max(10),
  cap_ms: z.number().int().min(0).max(86_400_000),
  jitter: z.number().min(0).max(1), // share of the delay that chance may take away
});
export type RetryRule = z.infer<typeof RetryRule>;

/** `configs/retry_policy.json`. Keys are `service`, `service.role` or `service.role.shard`; the most specific wins. */
export const RetryPolicy = z.strictObject({
  $schema: z.string().optional(),
  default: RetryRule,
  keys: z.record(
    z.string().regex(/^[a-z]+(\.[a-z]+(\.\d+)?)?$/, "is service, service.role or service.role.shard"),
    RetryRule,
  ),
});
export type RetryPolicy = z.infer<typeof RetryPolicy>;

/** When a lane is left alone: `min_calls` in `window_ms` of which `failure_rate` failed. After `cooldown_ms` it is tried. */
export const CircuitRule = z.strictObject({
  window_ms: z.number().int().min(1000).max(3_600_000),
  min_calls: z.number().int().min(1).max(1_000_000),
  failure_rate: z.number().min(0.01).max(1), // share of the calls; what a caller caused does not count
  cooldown_ms: z.number().int().min(100).max(86_400_000),
  half_open_probes: z.number().int().min(1).max(1000), // that must be well before it closes
});
export type CircuitRule = z.infer<typeof CircuitRule>;

export type CircuitState = "closed" | "open" | "half_open";

/** `configs/circuit_breaker.json`. Keys are `service`, `service.role` or `service.role.shard`; the most specific wins. */
export const CircuitPolicy = z.strictObject({
  $schema: z.string().optional(),
  default: CircuitRule,
  keys: z.record(
    z.string().regex(/^[a-z]+(\.[a-z]+(\.\d+)?)?$/, "is service, service.role or service.role.shard"),
    CircuitRule,
  ),
});
export type CircuitPolicy = z.infer<typeof CircuitPolicy>;

/** `configs/bus.json`: how many shards each role has, and how long things are remembered. */
export const BusPolicy = z.strictObject({
  $schema: z.string().optional(),
  shards: z.strictObject({
    default: z.number().int().min(1).max(1024),
    keys: z.record(Role, z.number().int().min(1).max(1024)), // of `service.role`
  }),
  history: z.strictObject({
    partition_hours: z.number().min(0.01).max(8784), // a partition of the history takes rows for this long
    keep_days: z.number().min(0.01).max(3660), // and is dropped this long after
    keep_answered_days: z.number().min(0.01).max(3660), // answered waits and replayed dead letters
    keep_dead_days: z.number().min(0.01).max(3660).default(90), // dead letters that nobody replayed
  }),
});
export type BusPolicy = z.infer<typeof BusPolicy>;

/** Who may use a route. `public`: anybody; the others: the holder of such a key. */
export const Caller = z.enum(["public", "tenant", "operator", "admin"]);
export type Caller = z.infer<typeof Caller>;

/** `configs/route_policies.json`: 'POST /api/chat' → who may. A route that is not named here is denied. */
export const RoutePolicies = z.strictObject({
  $schema: z.string().optional(),
  routes: z.record(
    z.string().regex(/^(GET|POST|PUT|PATCH|DELETE) \/\S*$/, "is METHOD /path"),
    z.strictObject({ allow: z.array(Caller).min(1) }),
  ),
});
export type RoutePolicies = z.infer<typeof RoutePolicies>;

const most = z.number().int().min(1).max(1_000_000_000).nullable(); // null: no limit

/** New requests a second; `burst` of them may come at once. */
export const Rate = z.strictObject({
  per_s: z.number().min(0.001).max(1_000_000),
  burst: z.number().int().min(1).max(1_000_000),
});
export type Rate = z.infer<typeof Rate>;

const RoleLimits = z.strictObject({
  max_waiting: most, // messages on one lane, due or not; then the door answers 429
  max_running: most, // messages of the role in hand at one time, over all workers
  rate: Rate.nullable(), // of new requests to it; null: no limit
});
export type RoleLimits = z.infer<typeof RoleLimits>;

const TenantLimits = z.strictObject({
  max_waiting: most, // due messages of the tenant on a lane; then the door answers 429
  max_running: most, // messages of the tenant in hand at one time, of all roles and over all workers
  rate: Rate.nullable(), // of its new requests; null: no limit
});
export type TenantLimits = z.infer<typeof TenantLimits>;

/** `configs/limits.json`: how much may wait, come in and be spent. What a key does not say is as in the default. */
export const LimitsPolicy = z.strictObject({
  $schema: z.string().optional(),
  roles: z.strictObject({ default: RoleLimits, keys: z.record(Role, RoleLimits.partial()) }),
  tenants: z.strictObject({ default: TenantLimits, keys: z.record(Tenant, TenantLimits.partial()) }),
  budgets: BudgetPolicy,
});
export type LimitsPolicy = z.infer<typeof LimitsPolicy>;

const usdPerMillion = z.number().min(0).max(1_000_000);

/** What a model costs, in USD for a million tokens. */
export const Price = z.strictObject({
  input_usd: usdPerMillion,
  cached_input_usd: usdPerMillion.optional(), // as input_usd unless given
  output_usd: usdPerMillion,
});
export type Price = z.infer<typeof Price>;

/** `configs/prices.json`: by the name a model answers under; a `*` at the end stands for any rest. */
export const PricePolicy = z.strictObject({
  $schema: z.string().optional(),
  models: z.record(z.string().regex(/^[^*\s]{1,200}\*?$/, "is a model's name, or its beginning and a *"), Price),
});
export type PricePolicy = z.infer<typeof PricePolicy>;

/** `configs/outbound.json`: where agents may listen. What a name leads to is not looked up. */
export const OutboundPolicy = z.strictObject({
  $schema: z.string().optional(),
  private_addresses: z.enum(["allow", "forbid"]), // loopback, networks of one's own, the metadata of clouds, names used inside
  except: z.array(z.string().min(1).max(253)).max(1000), // hosts that may be called although they are private
});
export type OutboundPolicy = z.infer<typeof OutboundPolicy>;
