import { AgentPatch, AgentRequest, type AgentView } from "../../contracts/registry.ts";
import { type AgentOptions, agentBody, checked, parted } from "../agent.ts";
import { duration, json, paint, say, table } from "../output.ts";
import { openSystem } from "../system.ts";

/** `dagent agents list`: everybody registered. */
export async function listAgents(options: { json?: boolean }): Promise<void> {
  const { agents } = await (await openSystem()).agents();
  if (options.json) return json({ agents });
  say(
    table([
      ["agent", "version", "reached by", "intents", "state", "in hand", "record", "canary"].map((head) =>
        paint("dim", head),
      ),
      ...agents.map(row),
    ]),
  );
}

/** `dagent agents add ID@VERSION`: registers somebody new. */
export async function addAgent(name: string, options: AgentOptions): Promise<void> {
  const body = checked(AgentRequest, { ...(await agentBody(options)), ...parted(name) });
  shown(await (await openSystem()).addAgent(body), options, "registered");
}

/** `dagent agents set ID[@VERSION]`: changes what is named. */
export async function setAgent(name: string, options: AgentOptions): Promise<void> {
  const { id, ...version } = parted(name);
  const patch = checked(AgentPatch, { ...(await agentBody(options)), ...version });
  shown(await (await openSystem()).changeAgent(id, patch), options, "changed");
}

/** `dagent agents remove ID[@VERSION]`. */
export async function removeAgent(name: string, options: { json?: boolean }): Promise<void> {
  const { id, version } = parted(name);
  await (await openSystem()).removeAgent(id, version);
  if (options.json) json({ removed: name });
  else say(`${name} is removed`);
}

/** `dagent agents promote ID[@VERSION]`: a canary takes the place of its stable. */
export async function promoteAgent(name: string, options: { json?: boolean; force?: boolean }): Promise<void> {
  const { id, ...version } = parted(name);
  const promoted = await (await openSystem()).promoteAgent(id, { ...version, force: options.force === true });
  shown(promoted, options, "is the stable now");
}

/** `dagent agents pause` and `resume`: lays an agent to rest, or wakes it. */
export async function restAgent(name: string, options: AgentOptions, paused: boolean): Promise<void> {
  const { id, version } = parted(name);
  const patch = { paused, ...(version && { version }), ...(options.reason && { reason: options.reason }) };
  shown(await (await openSystem()).changeAgent(id, patch), options, paused ? "rests" : "works again");
}

function shown(agent: AgentView, options: { json?: boolean }, what: string): void {
  if (options.json) json(agent);
  else say(`${agent.id} ${agent.version} ${what}: ${stateOf(agent)}`);
}

function row(agent: AgentView): string[] {
  const { id, version, reach, intents, capacity, in_flight } = agent;
  const [good, bad] = agent.stats.reduce(([g, b], one) => [g + one.good, b + one.bad], [0, 0]);
  const ended = good + bad;
  return [
    id,
    version,
    reach.kind,
    intents.join(", "),
    stateOf(agent),
    `${in_flight} of ${capacity}`,
    ended === 0 ? "none" : `${Math.round((100 * good) / ended)} % of ${Math.round(ended)}`,
    canaryOf(agent),
  ];
}

function stateOf({ enabled, paused, alive, silent_ms }: AgentView): string {
  if (!enabled) return paint("yellow", "disabled");
  if (paused) return paint("red", `paused by ${paused.by}`);
  return alive ? paint("green", "alive") : paint("red", `silent for ${duration(silent_ms)}`);
}

function canaryOf({ canary_of, canary_pct, mode, trial }: AgentView): string {
  if (!canary_of) return "";
  const share = mode === "shadow" ? `shadow, ${canary_pct} %` : `${canary_pct} %`;
  const said = trial ? `: ${trial.verdict.replace("_", " ")} after ${trial.canary.calls} calls` : "";
  return `${share} of ${canary_of.agent_id} ${canary_of.agent_version}${said}`;
}
