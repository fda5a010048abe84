import type { Agent, Standing } from "../contracts/agent.ts";
import type { OrchestratorPolicy } from "../contracts/choice.ts";
import type { Candidate, Choice, DecideRequest, Decision, DecisionInputs } from "../contracts/decision.ts";
import { type FailureCode, failures } from "../contracts/failure.ts";
import type { Failed, Intent } from "../contracts/message.ts";
import { stickyKeyOf } from "./canary.ts";
import { choose } from "./choose.ts";
import { drawOf } from "./draw.ts";
import { exclusionOf } from "./exclude.ts";
import { ruleFor } from "./rule.ts";
import { shadowOf } from "./shadow.ts";

/** A request for a decision: whose it is, and the key that its draws hang on. */
export type Asked = { request: DecideRequest; tenant: string; intent: Intent; key: string };

/** The world at that moment. */
export type Seen = { agents: (Standing & Partial<Pick<Agent, "reach" | "origin">>)[]; at: Date };

/** Nobody was able; `inputs` are what was looked at. */
export type Undecided = Choice & { chosen: null; inputs: DecisionInputs };

/** Decides. Pure: the same request in the same world has the same decision, draws and all. */
export function decide(asked: Asked, seen: Seen, policy: OrchestratorPolicy): Decision | Undecided {
  const { role, fallback } = asked.request;
  const inputs = inputsOf(asked, seen, policy);
  const choice = choose(inputs);
  const { chosen } = choice;
  if (chosen === null) return { ...choice, chosen, inputs };
  const last = fallback?.failed.at(-1);
  const draw = drawOf("shadow", chosen.agent_id, inputs.sticky_key);
  const able = (agent: Standing) => exclusionOf(agent, inputs) === null;
  return {
    ...choice,
    chosen,
    role,
    shadow: shadowOf({ agents: inputs.agents, chosen, able, draw }),
    fallback: fallback && last ? fallbackOf(fallback.of, last) : null,
    inputs,
  };
}

function fallbackOf(of: string, { agent_id, agent_version, code, message }: Failed): Decision["fallback"] {
  return { of, failed: { agent_id, agent_version }, failure: { code, message } };
}

function inputsOf(
  { request, tenant, intent, key }: Asked,
  { agents, at }: Seen,
  policy: OrchestratorPolicy,
): DecisionInputs {
  const { role, work, fallback } = request;
  return {
    at: at.toISOString(),
    role,
    tenant,
    intent,
    capabilities: work.capabilities ?? [],
    language: work.language,
    sticky_key: stickyKeyOf(policy.canary, { tenant, conversation: work.conversation ?? null, key }),
    draw: drawOf("explore", tenant, key),
    tried: (fallback?.failed ?? []).map(({ agent_id, agent_version }) => ({ agent_id, agent_version })),
    memory: policy.memory,
    rule: ruleFor(policy, { tenant, intent }),
    agents: agents.map((agent) => seenBy(tenant, agent)),
  };
}

/**
 * An agent as a decision for this tenant may tell of it: without its address and the names of other tenants. Field by
 * field: objects of one shape are judged four times as fast as what a rest parameter leaves.
 */
function seenBy(tenant: string, agent: Seen["agents"][number]): Standing {
  const { tenants } = agent;
  return {
    id: agent.id,
    version: agent.version,
    service_role: agent.service_role,
    intents: agent.intents,
    capabilities: agent.capabilities,
    languages: agent.languages,
    capacity: agent.capacity,
    price: agent.price,
    tenants: tenants.length === 0 || tenants.includes(tenant) ? tenants.filter((one) => one === tenant) : ["-"],
    canary_of: agent.canary_of,
    canary_pct: agent.canary_pct,
    mode: agent.mode,
    enabled: agent.enabled,
    paused: agent.paused,
    silent_ms: agent.silent_ms,
    in_flight: agent.in_flight,
    circuit: agent.circuit,
    barred: agent.barred,
    stats: agent.stats,
  };
}

/** How a request is refused for which nobody is able: a code of the table of failures, words, and who was considered. */
export type Refusal = { code: FailureCode; message: string; candidates: Candidate[] };

/** What to say when nobody is able. After a failed agent it is that agent's failure that is told. */
export function refusalOf({ request, intent }: Asked, { candidates }: Undecided): Refusal {
  const last = request.fallback?.failed.at(-1);
  const known = codes.find((code) => code === last?.code);
  if (last) return { code: known ?? "agent_failed", message: `${last.message}; nobody else is able`, candidates };
  if (intent === "code.generate" && candidates.every(({ exclusion }) => exclusion === "intent")) {
    return {
      code: "model_not_configured",
      message:
        "code.generate needs a model: set MODEL_BASE_URL and MODEL_NAME, or MODEL_CASSETTE; to only build and test files, ask with intent code.buildtest",
      candidates,
    };
  }
  const why = candidates.map(({ agent_id, agent_version, excluded }) => `${agent_id} ${agent_version}: ${excluded}`);
  const said = why.length > 0 ? why.join("; ") : "nobody is registered for it";
  return { code: "no_candidate", message: `nobody can take ${request.role} for ${intent} now. ${said}`, candidates };
}

const codes = Object.keys(failures) as FailureCode[]; // the keys of the table
