import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { AgentId, type AgentRef } from "../../contracts/agent.ts";
import type { CanaryPlan } from "../../contracts/choice.ts";
import {
  AgentList,
  AgentPatch,
  AgentPut,
  AgentRequest,
  AgentsQuery,
  AgentView,
  AgentWhich,
  PromoteRequest,
} from "../../contracts/registry.ts";
import { promoteCanary } from "../../ops/canary.ts";
import { addAgent, changeAgent, dropAgent, type Registrar, replaceAgent, theOne } from "../../ops/registry.ts";
import { silenceMs } from "../../rules/exclude.ts";
import { verdictOf } from "../../rules/trial.ts";
import { heard } from "../../store/agents.ts";
import { type Trial, trials } from "../../store/canaries.ts";
import { type KnownAgent, knownAgents } from "../../store/standings.ts";
import { problems, type Routes, type RouteTools } from "../route.ts";

const params = z.object({ id: AgentId });

/** `/api/agents`: who can do which work. Every change is an event in the same transaction. */
export const agentRoutes: Routes = (app, tools) => {
  const { sql } = tools;
  const views = async (asked: { id: string | null; serviceRole: string | null }) => {
    const [known, all] = await Promise.all([knownAgents(sql, asked), trials(sql)]);
    return known.map((agent) => viewOf(agent, all, tools.orchestrator().canary));
  };
  const view = async ({ agent_id, agent_version }: AgentRef) =>
    theOne(await views({ id: agent_id, serviceRole: null }), agent_id, agent_version);

  app.route({
    method: "GET",
    url: "/api/agents",
    schema: {
      operationId: "agents",
      summary: "Everybody registered, with what is known of them now",
      querystring: AgentsQuery,
      response: { 200: AgentList, ...problems },
    },
    async handler({ query: { id = null, service_role = null } }): Promise<AgentList> {
      return { agents: await views({ id, serviceRole: service_role }) };
    },
  });

  app.route({
    method: "POST",
    url: "/api/agents",
    schema: {
      operationId: "addAgent",
      summary: "Register somebody new",
      body: AgentRequest,
      response: { 201: AgentView, ...problems },
    },
    handler: async (request, reply) =>
      reply.code(201).send(await view(await addAgent(registrarOf(request, tools), request.body))),
  });

  app.route({
    method: "PUT",
    url: "/api/agents/:id",
    schema: {
      operationId: "putAgent",
      summary: "Register an agent, or make a registered one as it is said here",
      params,
      body: AgentPut,
      response: { 200: AgentView, ...problems },
    },
    handler: async (request): Promise<AgentView> =>
      view(await replaceAgent(registrarOf(request, tools), request.params.id, request.body)),
  });

  app.route({
    method: "PATCH",
    url: "/api/agents/:id",
    schema: {
      operationId: "changeAgent",
      summary: "Change what is named; `paused` lays it to rest or wakes it",
      params,
      body: AgentPatch,
      response: { 200: AgentView, ...problems },
    },
    handler: async (request): Promise<AgentView> =>
      view(await changeAgent(registrarOf(request, tools), request.params.id, request.body)),
  });

  app.route({
    method: "DELETE",
    url: "/api/agents/:id",
    schema: {
      operationId: "removeAgent",
      summary: "Take an agent out, with its record",
      params,
      querystring: AgentWhich,
      response: { 204: z.null().describe("It is gone"), ...problems },
    },
    async handler(request, reply) {
      await dropAgent(registrarOf(request, tools), request.params.id, request.query.version);
      return reply.code(204).send(null);
    },
  });

  app.route({
    method: "POST",
    url: "/api/agents/:id/promote",
    schema: {
      operationId: "promoteAgent",
      summary: "Put a canary in the place of its stable, which is disabled",
      params,
      body: PromoteRequest.nullish(),
      response: { 200: AgentView, ...problems },
    },
    async handler(request): Promise<AgentView> {
      const wish = request.body ?? { force: false };
      return view(await promoteCanary(registrarOf(request, tools), request.params.id, wish));
    },
  });

  app.route({
    method: "POST",
    url: "/api/agents/:id/heartbeat",
    schema: {
      operationId: "heartbeat",
      summary: "Say that an agent lives; one that is silent for 10 s is not chosen",
      params,
      body: AgentWhich.nullish(),
      response: { 204: z.null().describe("Heard"), ...problems },
    },
    async handler(request, reply) {
      const { id } = request.params;
      const agents = await knownAgents(sql, { id, serviceRole: null });
      const { version } = theOne(agents.filter(mayBeat(request)), id, request.body?.version);
      await heard(sql, [{ agent_id: id, agent_version: version }]);
      return reply.code(204).send(null);
    },
  });
};

/** A tenant's key speaks for agents that work for this tenant alone; the others are not there for it. */
function mayBeat({ identity }: FastifyRequest): (agent: KnownAgent) => boolean {
  if (identity.kind !== "tenant") return () => true;
  return ({ tenants }) => tenants.length === 1 && tenants[0] === identity.tenant;
}

function registrarOf(request: FastifyRequest, { sql, refusesAddress }: RouteTools): Registrar {
  return { sql, by: request.identity.name, traceId: String(request.id), refusesAddress };
}

function viewOf({ registered_at, ...agent }: KnownAgent, all: Trial[], plan: CanaryPlan): AgentView {
  const trial = all.find((one) => one.agent_id === agent.id && one.agent_version === agent.version);
  return {
    ...agent,
    alive: agent.silent_ms <= silenceMs,
    trial: trial ? verdictOf(trial.state, plan) : null,
    registered_at: registered_at.toISOString(),
  };
}
