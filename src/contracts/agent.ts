import { z } from "zod";
import { Intent, Role } from "./message.ts";

/**
 * An agent: who can do which work, and how it is reached. A row of `registry_agents`.
 * `builtin`: a handler of this repository, `target` is its role. `openai`: a model behind codegen, `target` is its name.
 */
export const Agent = z.object({
  id: z.string().regex(/^[a-z0-9][a-z0-9.:_-]{0,63}$/),
  version: z.string().min(1).max(64),
  serviceRole: Role,
  intents: z.array(Intent).min(1),
  reach: z.enum(["builtin", "openai"]),
  target: z.string().min(1),
  capacity: z.number().int().positive(), // pieces of work at one time
  priceUsd: z.number().nonnegative(), // per 1,000 tokens
  tenants: z.array(z.string()), // empty: every tenant
  canaryPct: z.number().int().min(0).max(100), // 0: not a canary
  enabled: z.boolean(),
});
export type Agent = z.infer<typeof Agent>;

/** An agent as the orchestrator meets it: with what is known of it at this moment. */
export type Standing = Agent & {
  silentMs: number; // since its last heartbeat
  load: number; // 0..: leases it holds / its capacity
  done: number; // of the last 200 ends of its work, how many were done
  dead: number; // and how many were not
};
