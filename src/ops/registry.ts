import { isDeepStrictEqual } from "node:util";
import { type Agent, type AgentRef, AgentSpec } from "../contracts/agent.ts";
import { Failure } from "../contracts/failure.ts";
import { type AgentPatch, type AgentPut, AgentRequest } from "../contracts/registry.ts";
import { type Objection, objectionsTo, stableOf } from "../rules/registration.ts";
import { allAgents, holdRegistry, pauseAgent, putAgent, removeAgent } from "../store/agents.ts";
import { beginTrial, endTrial } from "../store/canaries.ts";
import type { Database, Sql } from "../store/database.ts";
import { tellAlone } from "../store/events.ts";

/** Who changes the registry, for the audit log, and what outbound calls are refused here (null: none). */
export type Registrar = {
  sql: Database;
  by: string; // the name of a key
  traceId: string | null;
  refusesAddress: (url: string) => string | null; // why an address may not be called, in words
};

/** Registers somebody new. Throws `conflict` when the id is taken in that version, `invalid_request` naming the field. */
export async function addAgent(registrar: Registrar, request: AgentRequest): Promise<AgentRef> {
  return changing(registrar, async (tx, known) => {
    if (known.some(({ id, version }) => id === request.id && version === request.version)) {
      throw refusal("conflict", [{ path: "/id", message: `${request.id} ${request.version} is taken` }]);
    }
    return enter(tx, { registrar, known, request });
  });
}

/** Registers an agent, or makes a registered one as it is said here. Throws like `addAgent`. */
export async function replaceAgent(registrar: Registrar, id: string, request: AgentPut): Promise<AgentRef> {
  return changing(registrar, async (tx, known) => {
    const before = known.find((one) => one.id === id && one.version === request.version);
    if (before?.origin === "config") {
      throw refusal("conflict", [{ path: "/id", message: `${id} ${request.version} is taken: ${brought}` }]);
    }
    return enter(tx, { registrar, known, request: { ...request, id }, before });
  });
}

const brought = "a worker's configuration brings it; PATCH changes its price, tenants, canary and enabled";

/** What a worker's configuration says of the agents it brings; a change here would be undone by its next start. */
const configured = ["service_role", "intents", "capabilities", "languages", "reach", "capacity"] as const;

/** Changes what is named. Throws `not_found`, `conflict` for a field that belongs to a worker's configuration. */
export async function changeAgent(registrar: Registrar, id: string, patch: AgentPatch): Promise<AgentRef> {
  const { version, paused, reason, ...change } = patch;
  return changing(registrar, async (tx, known) => {
    const before = theOne(known, id, version);
    const fixed = before.origin === "config" ? configured.filter((field) => change[field] !== undefined) : [];
    if (fixed.length > 0) {
      const said = "belongs to the configuration of the worker that brings this agent; change it there";
      throw refusal(
        "conflict",
        fixed.map((field) => ({ path: `/${field}`, message: said })),
      );
    }
    const { origin, paused: rested, ...spec } = before;
    const named = Object.entries(change).filter(([, value]) => value !== undefined);
    const request = AgentRequest.parse({ ...spec, ...Object.fromEntries(named) });
    const ref = await enter(tx, { registrar, known, request, before, reason });
    if (paused !== undefined && paused !== (rested !== null)) await rest(tx, { registrar, before, paused, reason });
    return ref;
  });
}

/** Takes an agent out. Throws `conflict` while it has a canary, or while a worker brings it. */
export async function dropAgent(registrar: Registrar, id: string, version: string | undefined): Promise<Agent> {
  return changing(registrar, async (tx, known) => {
    const agent = theOne(known, id, version);
    const canary = known.find(({ canary_of: of }) => of?.agent_id === id && of.agent_version === agent.version);
    if (canary) {
      const said = `${canary.id} ${canary.version} is its canary: promote or remove that first`;
      throw refusal("conflict", [{ path: "/id", message: said }]);
    }
    await removeAgent(tx, refOf(agent));
    await tell(tx, registrar, { kind: "agent_removed", agent, details: {} });
    return agent;
  });
}

/** The agent of that id, in that version or in its only one. Throws `not_found`, `invalid_request` naming the version. */
export function theOne<Known extends Agent>(known: Known[], id: string, version: string | undefined): Known {
  const there = known.filter((one) => one.id === id && (version === undefined || one.version === version));
  const [only] = there;
  if (!only) throw new Failure("not_found", `there is no agent ${id}${version === undefined ? "" : ` ${version}`}`);
  if (there.length === 1) return only;
  const versions = there.map((one) => one.version).join(", ");
  throw refusal("invalid_request", [
    { path: "/version", message: `${id} has several versions, say which: ${versions}` },
  ]);
}

/** Changes the registry, with everybody in it, while nobody else does. */
export function changing<Result>(
  { sql }: Registrar,
  change: (tx: Sql, known: Agent[]) => Promise<Result>,
): Promise<Result> {
  return sql.begin(async (tx) => {
    await holdRegistry(tx);
    return change(tx, await allAgents(tx));
  });
}

type Entry = {
  registrar: Registrar;
  known: Agent[];
  request: AgentRequest;
  before?: Agent | undefined;
  reason?: string | undefined;
};

async function enter(tx: Sql, { registrar, known, request, before, reason }: Entry): Promise<AgentRef> {
  const stable = request.canary_of && stableOf(request.canary_of, known, request);
  if (stable && "path" in stable) throw refusal("invalid_request", [stable]);
  const agent = AgentSpec.parse({ ...request, canary_of: stable });
  const objections = [...objectionsTo(agent, known), ...addressesOf(agent, registrar)];
  if (objections.length > 0) throw refusal("invalid_request", objections);

  await putAgent(tx, agent);
  await test(tx, agent, before);
  const changed = before ? changes(before, agent) : null;
  if (!before) await tell(tx, registrar, { kind: "agent_registered", agent, details: { agent } });
  else if (changed)
    await tell(tx, registrar, { kind: "agent_changed", agent, details: { changed, reason: reason ?? null } });
  return refOf(agent);
}

/** A canary that is new, has another stable or is another thing behind its name has to prove itself anew. */
async function test(tx: Sql, agent: AgentSpec, before: Agent | undefined): Promise<void> {
  if (!agent.canary_of) return endTrial(tx, refOf(agent));
  const same = isDeepStrictEqual(
    [before?.canary_of, before?.reach, before?.mode],
    [agent.canary_of, agent.reach, agent.mode],
  );
  if (!same) await beginTrial(tx, refOf(agent));
}

type Rest = { registrar: Registrar; before: Agent; paused: boolean; reason: string | undefined };

async function rest(tx: Sql, { registrar, before, paused, reason }: Rest): Promise<void> {
  const evidence = { reason: reason ?? "somebody paused it" };
  await pauseAgent(tx, refOf(before), paused ? { by: registrar.by, evidence } : null);
  const canary = before.canary_of !== null;
  if (canary && !paused) await beginTrial(tx, refOf(before));
  const kind = `${canary ? "canary" : "agent"}_${paused ? "paused" : "resumed"}`;
  await tell(tx, registrar, { kind, agent: before, details: { reason: reason ?? null } });
}

/** The addresses an agent names that may not be called from here. */
function addressesOf({ reach }: AgentSpec, { refusesAddress }: Registrar): Objection[] {
  const named: [string, string | null][] = [
    ["/reach/url", "url" in reach ? reach.url : null],
    ["/reach/base_url", "base_url" in reach ? reach.base_url : null],
    ["/reach/probe", "probe" in reach ? reach.probe : null],
  ];
  return named.flatMap(([path, url]) => {
    const message = url === null ? null : refusesAddress(url);
    return message === null ? [] : [{ path, message }];
  });
}

/** A no that names its fields. */
export function refusal(code: "invalid_request" | "conflict", objections: Objection[]): Failure {
  const said = objections.map(({ path, message }) => `${path.slice(1).replaceAll("/", ".")} ${message}`).join("; ");
  return new Failure(code, said, { errors: objections.map((one) => ({ in: "body", ...one })) });
}

export type Told = { kind: string; agent: { id: string; version: string }; details: Record<string, unknown> };

/** Tells of a change, and who made it. */
export function tell(
  tx: Sql,
  { by, traceId }: Pick<Registrar, "by" | "traceId">,
  { kind, agent, details }: Told,
): Promise<void> {
  return tellAlone(tx, {
    kind,
    traceId,
    details: { agent_id: agent.id, agent_version: agent.version, by, ...details },
  });
}

/** Which fields are others than before: [was, is]; null when none is. */
function changes(before: Agent, agent: AgentSpec): Record<string, [unknown, unknown]> | null {
  const was: Record<string, unknown> = before;
  const changed = Object.entries(agent).filter(([field, value]) => !isDeepStrictEqual(was[field], value));
  return changed.length === 0
    ? null
    : Object.fromEntries(changed.map(([field, value]) => [field, [was[field], value]]));
}

/** What an agent is called everywhere else. */
export function refOf({ id, version }: { id: string; version: string }): AgentRef {
  return { agent_id: id, agent_version: version };
}
