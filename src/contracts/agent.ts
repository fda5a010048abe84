import { z } from "zod";
import { Intent, Role, Tenant } from "./message.ts";

export const AgentId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9.:_-]{0,63}$/, "is lower-case letters, digits and . : _ -, at most 64");
export const AgentVersion = z.string().regex(/^[\x21-\x7e]{1,64}$/, "is 1 to 64 visible ASCII characters");

/** One agent in one version: what a decision chooses, and what its record is kept of. */
export const AgentRef = z.strictObject({ agent_id: AgentId, agent_version: AgentVersion });
export type AgentRef = z.infer<typeof AgentRef>;

/**
 * A secret by its name, never by its value: an environment variable of the workers. Only names that begin with AGENT_
 * can be said, so that nobody who registers an agent has DATABASE_URL sent to it.
 */
export const SecretName = z
  .string()
  .regex(/^AGENT_[A-Z0-9_]{1,120}$/, "is the name of an environment variable of the workers that begins with AGENT_");

/** Where an agent listens. Whether the address may be called is the outbound policy's to say. */
export const Endpoint = z
  .url({ protocol: /^https?$/, error: "is an http or https URL" })
  .max(2000)
  .refine((url) => {
    const { username, password, hash } = new URL(url);
    return username === "" && password === "" && hash === "";
  }, "holds a name, a password or a fragment: name a secret instead");

const outside = {
  timeout_ms: z.number().int().min(100).max(3_600_000).default(120_000), // for one call
  probe: Endpoint.nullable().default(null), // asked by a worker every 3 s, 2xx is a heartbeat; null: the agent sends its own
};

/** How an agent is reached. */
export const Reach = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("builtin"), // a handler of this repository, or of a worker of yours
    role: Role, // that does the work
  }),
  z.strictObject({
    kind: z.literal("openai"), // a model behind codegen
    model: z.string().min(1).max(200),
    base_url: Endpoint.nullable().default(null), // null: the worker is configured with a model of that name
    api_key: SecretName.nullable().default(null),
    tools: z.boolean().optional(), // true: it can call tools, and reads files it was not shown; of an address of its own
  }),
  z.strictObject({
    kind: z.literal("http"), // a POST, signed with `secret`
    url: Endpoint,
    secret: SecretName.nullable().default(null),
    ...outside,
  }),
  z.strictObject({
    kind: z.literal("a2a"), // Agent2Agent 1.0
    url: Endpoint, // of its agent card
    token: SecretName.nullable().default(null), // bearer
    ...outside,
  }),
  z.strictObject({
    kind: z.literal("mcp"), // a tool of an MCP server
    url: Endpoint,
    tool: z.string().min(1).max(128),
    token: SecretName.nullable().default(null), // bearer
    ...outside,
  }),
]);
export type Reach = z.infer<typeof Reach>;

const Word = z.string().regex(/^[a-z0-9][a-z0-9.+#_-]{0,63}$/, "is a lower-case word");
const usd = z.number().nonnegative().max(1_000_000);

const fields = {
  service_role: Role, // the role whose work it takes
  intents: z.array(Intent).min(1).max(50),
  capabilities: z.array(Word).max(100), // what work may ask for by name; beyond its intents
  languages: z.array(Word).max(100), // empty: any
  reach: Reach,
  capacity: z.number().int().min(1).max(100_000), // pieces of work at one time
  price: z.strictObject({ per_call_usd: usd.default(0), per_1k_tokens_usd: usd.default(0) }),
  tenants: z.array(Tenant).max(1000), // empty: every tenant
  canary_of: AgentRef.nullable(), // its stable; null: it is a stable itself
  canary_pct: z.number().min(0).max(100), // of its stable's keys
  mode: z.enum(["live", "shadow"]), // shadow: works on a copy, its answer is compared and never returned
  enabled: z.boolean(),
};

/** An agent as somebody registers it: who can do which work, how it is reached, and what share it may have. */
export const AgentSpec = z.strictObject({
  id: AgentId,
  version: AgentVersion,
  ...fields,
  service_role: fields.service_role.default("executor.execute"),
  capabilities: fields.capabilities.default([]),
  languages: fields.languages.default([]),
  capacity: fields.capacity.default(1),
  price: fields.price.prefault({}),
  tenants: fields.tenants.default([]),
  canary_of: fields.canary_of.default(null),
  canary_pct: fields.canary_pct.default(0),
  mode: fields.mode.default("live"),
  enabled: fields.enabled.default(true),
});
export type AgentSpec = z.infer<typeof AgentSpec>;

/** What may be changed of an agent: what is not named stays as it is. */
export const AgentChange = z.strictObject(fields).partial();
export type AgentChange = z.infer<typeof AgentChange>;

/** Why a canary rests, and what it did. `by` is the name of a key, or 'sequential test'. */
export const Paused = z.object({
  at: z.iso.datetime(),
  by: z.string(),
  evidence: z.record(z.string(), z.unknown()),
});
export type Paused = z.infer<typeof Paused>;

/** An agent as it stands in the registry: a row of `registry_agents`. */
export const Agent = AgentSpec.extend({
  origin: z.enum(["config", "api"]), // config: a worker brings it and is its heartbeat
  paused: Paused.nullable(),
});
export type Agent = z.infer<typeof Agent>;

/** What is known of an agent's work for one intent, forgotten bit by bit; the numbers are as of `at` and `turn`. */
export const AgentStats = z.object({
  intent: Intent,
  good: z.number().nonnegative(), // ends that were well, decayed
  bad: z.number().nonnegative(), // ends it is to blame for, decayed
  latency_ms: z.number().nonnegative().nullable(), // decayed mean from decision to end; null: nothing has ended
  at: z.iso.datetime(), // when the last end was counted
  turn: z.number().nonnegative(), // how many ends of the intent, of any agent, had been counted then
});
export type AgentStats = z.infer<typeof AgentStats>;

/** An agent as a decision meets it: all that the rules may look at, kept with the decision so that it can be replayed. */
export const Standing = Agent.omit({ reach: true, origin: true }).extend({
  tenants: z.array(z.string()), // a tenant reads its decisions: of a list, itself, or '-' when it is not on it
  silent_ms: z.number().nonnegative(), // since its last heartbeat
  in_flight: z.number().int().nonnegative(), // pieces of work it has been given that have not ended
  circuit: z
    .object({ key: z.string(), state: z.enum(["closed", "open", "half_open"]), since: z.iso.datetime() })
    .nullable(), // null: none is kept
  barred: z.string().nullable(), // why the outbound policy refuses its address; null: it does not
  stats: z.array(AgentStats), // one for each intent it has ended work of
});
export type Standing = z.infer<typeof Standing>;
