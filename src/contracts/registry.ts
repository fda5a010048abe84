import { z } from "zod";
import { Agent, AgentChange, AgentId, AgentSpec, AgentStats, AgentVersion } from "./agent.ts";
import { CanaryEvidence } from "./canary.ts";
import { Role } from "./message.ts";

/** Whose canary it is; the version may be left out while the agent has one stable version only. */
const Stable = z.strictObject({ agent_id: AgentId, agent_version: AgentVersion.optional() }).nullable();

/** `POST /api/agents`: somebody new. */
export const AgentRequest = z.strictObject({ ...AgentSpec.shape, canary_of: Stable.default(null) });
export type AgentRequest = z.infer<typeof AgentRequest>;

/** `PUT /api/agents/:id`: this agent in this version is as said here, whether it was known or not. */
export const AgentPut = AgentRequest.omit({ id: true });
export type AgentPut = z.infer<typeof AgentPut>;

/** `PATCH /api/agents/:id`: what is not named stays. `version` may be left out while there is one. */
export const AgentPatch = z.strictObject({
  ...AgentChange.shape,
  canary_of: Stable.optional(),
  version: AgentVersion.optional(),
  paused: z.boolean().optional(), // true: rest until resumed; false: resume, and begin the test of the canary anew
  reason: z.string().min(1).max(500).optional(), // kept with the change
});
export type AgentPatch = z.infer<typeof AgentPatch>;

/** Which version is meant. May be left out while there is one. */
export const AgentWhich = z.strictObject({ version: AgentVersion.optional() });
export type AgentWhich = z.infer<typeof AgentWhich>;

/** `POST /api/agents/:id/promote`: the canary takes the place of its stable, which is disabled. */
export const PromoteRequest = z.strictObject({
  version: AgentVersion.optional(),
  force: z.boolean().default(false), // although the test has not said that it is not worse
});
export type PromoteRequest = z.infer<typeof PromoteRequest>;

/** `GET /api/agents`. */
export const AgentsQuery = z.strictObject({ service_role: Role.optional(), id: AgentId.optional() });
export type AgentsQuery = z.infer<typeof AgentsQuery>;

/** An agent, and what is known of it now. */
export const AgentView = Agent.extend({
  alive: z.boolean(), // heard from in the last 10 s
  silent_ms: z.number().nonnegative(), // since its last heartbeat
  in_flight: z.number().int().nonnegative(), // pieces of work it has been given that have not ended
  stats: z.array(AgentStats),
  trial: CanaryEvidence.nullable(), // how the test of a canary stands; null: it is none
  registered_at: z.iso.datetime(),
});
export type AgentView = z.infer<typeof AgentView>;

export const AgentList = z.object({ agents: z.array(AgentView) });
export type AgentList = z.infer<typeof AgentList>;
