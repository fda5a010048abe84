import { answersLater, configured, modelSpeaker, type Speaker, speakerOf } from "../../agents/speaker.ts";
import type { Tools, Wait } from "../../bus/handler.ts";
import type { Agent } from "../../contracts/agent.ts";
import type { GenerateRequest } from "../../contracts/code.ts";
import { Failure } from "../../contracts/failure.ts";
import type { Message } from "../../contracts/message.ts";
import type { Generation } from "../../contracts/model.ts";
import type { AgentAsk } from "../../contracts/outside.ts";
import { shownOf, type Tree } from "../../rules/tree.ts";
import { agentOf } from "../../store/agents.ts";
import { callbackFor, saidLater, waitFor } from "./later.ts";
import { progressOf } from "./progress.ts";
import { promptFor } from "./prompt.ts";
import { toolboxFor } from "./toolbox.ts";

/** What came of asking: what was said, or what to wait for. */
export type Heard = { said: Generation } | { said: null; by: string; wait: Wait };

/** Who writes the change of a message: the model that the assignment names, or the agent as it is registered. */
export type Writer = { agent: Agent | null; speaker: Speaker };

/** Throws `model_not_configured`, and `agent_failed` when the agent is gone or cannot be reached from here. */
export async function writerOf({ assignment }: Message, { sql, models, outside }: Tools): Promise<Writer> {
  const known = models.get(assignment?.model ?? "");
  if (known) return { agent: null, speaker: modelSpeaker(known) };
  const agent = assignment && (await agentOf(sql, assignment.agent_id, assignment.agent_version));
  if (!agent) return { agent: null, speaker: modelSpeaker(configured(models, assignment?.model ?? null)) };
  return { agent, speaker: speakerOf(agent, { models, outside }) };
}

/** Asks whoever writes, unless he has answered by now. */
export async function hear(
  message: Message<GenerateRequest>,
  { agent, speaker }: Writer,
  { tools, tree, maxTokens }: { tools: Tools; tree: Tree; maxTokens: number | null },
): Promise<Heard> {
  const late = agent && saidLater(message.payload, agent);
  if (late) return { said: late };
  const now = tools.now();
  const { outside } = tools;
  const callback = agent && outside && answersLater(agent.reach) ? callbackFor(message, { outside, now }) : null;
  const { work, rounds } = message.payload;
  const messages = promptFor(work, { rounds, ...(await shownOf(tree, work.prompt)) });
  const ask = askOf(message, { agent, messages, maxTokens, callback });
  // A change that must be approved first is shown to nobody before.
  const outlet = message.assignment?.approval?.patch ? undefined : tools.outlet?.(ask.round);
  const progress = progressOf(tools, { round: ask.round });
  const question = { ask, signal: tools.signal, now, onText: outlet?.say, onProgress: progress.hear };
  const said = await speaker
    .speak({ ...question, toolbox: toolboxFor(tree) })
    .finally(() => Promise.all([outlet?.end(), progress.end()]));
  if (said) return { said };
  if (!agent || !callback) throw new Failure("agent_answer_invalid", `${speaker.name} answered nothing`);
  return { said: null, by: speaker.name, wait: waitFor(message, { agent, callback, now }) };
}

/** An answer is awaited this long when the agent does not say. */
const usualTimeoutMs = 120_000;

function askOf(
  { id, traceId, tenant, intent, assignment, payload: { work, rounds } }: Message<GenerateRequest>,
  {
    agent,
    messages,
    maxTokens,
    callback,
  }: Pick<AgentAsk, "messages" | "callback"> & {
    agent: Agent | null;
    maxTokens: number | null;
  },
): AgentAsk {
  const { language, build, test } = work;
  const timeout = agent && "timeout_ms" in agent.reach ? agent.reach.timeout_ms : usualTimeoutMs;
  return {
    schema: "agent.ask/1",
    message_id: id,
    trace_id: traceId,
    tenant,
    intent,
    agent: { agent_id: assignment?.agent_id ?? "", agent_version: assignment?.agent_version ?? "" },
    round: (rounds?.round ?? 0) + 1,
    messages,
    language,
    build,
    test,
    max_tokens: maxTokens,
    timeout_ms: timeout,
    callback,
  };
}
