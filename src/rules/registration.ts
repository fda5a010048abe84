import type { Agent, AgentRef, AgentSpec } from "../contracts/agent.ts";

/** What is wrong with an agent, and in which field (a JSON pointer). */
export type Objection = { path: string; message: string };

/** A stable as it was named: the version may be left out. */
export type Named = { agent_id: string; agent_version?: string | undefined };

/**
 * The stable that was named. Without a version it is the one stable version of that id; when there are several, or
 * none, that is an objection: a canary is measured against one sibling, and `itself` is none.
 */
export function stableOf(named: Named, known: Agent[], itself?: Versioned): AgentRef | Objection {
  const { agent_id, agent_version } = named;
  if (agent_id === itself?.id && agent_version === itself.version) return { path: "/canary_of", message: ofItself };
  const there = known.filter(({ id }) => id === agent_id);
  if (agent_version !== undefined) {
    if (there.some(({ version }) => version === agent_version)) return { agent_id, agent_version };
    return { path: "/canary_of", message: `there is no agent ${agent_id} ${agent_version}` };
  }
  const stables = there.filter(({ canary_of }) => canary_of === null).map(({ version }) => version);
  const [only] = stables;
  if (only === undefined) return { path: "/canary_of", message: `there is no stable agent ${agent_id}` };
  if (stables.length === 1) return { agent_id, agent_version: only };
  return {
    path: "/canary_of",
    message: `${agent_id} has ${stables.length} stables (${stables.join(", ")}) and a canary has one: name agent_version`,
  };
}

/**
 * What speaks against an agent beside those that are known (itself as it was among them or not): each with its field,
 * none when it may stand.
 */
export function objectionsTo(agent: AgentSpec, known: Agent[]): Objection[] {
  const others = known.filter((other) => !isSame(other, agent));
  return [...againstName(agent, others), ...againstCanary(agent, others)];
}

/** One id is one agent, so all its versions take the work of one role. */
function againstName({ id, service_role }: AgentSpec, others: Agent[]): Objection[] {
  const other = others.find((one) => one.id === id && one.service_role !== service_role);
  return other ? [{ path: "/service_role", message: `${id} is taken: it is an agent of ${other.service_role}` }] : [];
}

function againstCanary(agent: AgentSpec, others: Agent[]): Objection[] {
  const { id, version, service_role, canary_of, canary_pct, mode } = agent;
  const own = others.find((other) => other.canary_of?.agent_id === id && other.canary_of.agent_version === version);
  if (canary_of === null) {
    const wrong: Objection[] = [];
    if (own && own.service_role !== service_role) {
      const said = `${own.id} ${own.version} is its canary and takes the work of ${own.service_role}`;
      wrong.push({ path: "/service_role", message: said });
    }
    if (canary_pct > 0) wrong.push({ path: "/canary_of", message: "a share is a canary's: say whose canary it is" });
    if (mode === "shadow") wrong.push({ path: "/mode", message: "only a canary can be a shadow: say whose" });
    return wrong;
  }
  const field = (message: string) => [{ path: "/canary_of", message }];
  if (canary_of.agent_id === id && canary_of.agent_version === version) return field(ofItself);
  const stable = others.find((other) => isSame(other, { id: canary_of.agent_id, version: canary_of.agent_version }));
  const name = `${canary_of.agent_id} ${canary_of.agent_version}`;
  if (!stable) return field(`there is no agent ${name}`);
  if (stable.canary_of !== null) return field(`${name} is a canary itself, and cannot be another's stable`);
  if (stable.service_role !== service_role) return field(`${name} takes the work of ${stable.service_role}`);
  if (own) return field(`${own.id} ${own.version} is its canary: a stable of somebody is no canary`);

  const siblings = others.filter(({ canary_of: of }) => of !== null && isSame(stable, refOf(of)));
  const taken = siblings.reduce((sum, sibling) => sum + sibling.canary_pct, 0);
  if (taken + canary_pct <= 100) return [];
  return [{ path: "/canary_pct", message: `the canaries of ${name} have ${taken} % already, and all have 100 %` }];
}

const ofItself = "is a canary of itself";

type Versioned = { id: string; version: string };

function refOf({ agent_id, agent_version }: AgentRef): Versioned {
  return { id: agent_id, version: agent_version };
}

function isSame(a: Versioned, b: Versioned): boolean {
  return a.id === b.id && a.version === b.version;
}
