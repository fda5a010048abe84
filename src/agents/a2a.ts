import { setTimeout as pause } from "node:timers/promises";
import type { Message, Part, SendMessageRequest, Task } from "@a2a-js/sdk";
import type { Client } from "@a2a-js/sdk/client";
import type { Reach } from "../contracts/agent.ts";
import { Failure } from "../contracts/failure.ts";
import { AgentAnswer, type AgentAsk } from "../contracts/outside.ts";
import { isOver, progressIn, type Said, textIn, withEvent } from "./a2atask.ts";
import { calling, doorTo, type Hearing, textOf, type Under } from "./door.ts";

type A2aReach = Extract<Reach, { kind: "a2a" }>;

/** States of a task (A2A 1.0, TaskState), by what they mean here. */
const completed = 3;
const words: Record<number, string> = {
  4: "failed",
  5: "was canceled",
  6: "asks for more input",
  7: "was rejected",
  8: "asks for a login",
};

/** How long an agent is given to hear that we gave up. */
const farewellMs = 2000;

/**
 * Asks an Agent2Agent 1.0 agent with the question as text and, beside it, as data (`agent.ask/1`): SendStreamingMessage
 * when its card says that it streams, else SendMessage. A task that is not done by then is asked for until it is, and
 * cancelled when we give up; what its status says meanwhile goes to `onProgress` when it changes. The answer is a data
 * part of the shape `agent.answer`, or the text of its parts. Its client library is loaded with the first question.
 *
 * Throws `agent_unreachable`, `agent_failed`, `agent_refused` (it wants what nobody here can give) and
 * `agent_answer_invalid`.
 */
export async function askA2a(
  { url, token }: A2aReach,
  ask: AgentAsk,
  { outside, signal, onProgress }: Hearing,
): Promise<AgentAnswer> {
  return calling(ask, signal, async (under) => {
    const doorUnder = (its: Under) => doorTo(url, { outside, token, under: its });
    let door = doorUnder(under);
    const talk: Talk = {
      client: await open(url, (input, init) => door(input, init)),
      signal: under.signal,
      said: null,
    };
    try {
      return await answerTo(requestOf(ask), talk, changes(onProgress));
    } catch (error) {
      const { client, said } = talk;
      if (said && "task" in said && !isOver(said.task)) {
        // Our time is over, so the cancellation has a moment of its own; that it comes through is not promised.
        door = doorUnder({ signal: AbortSignal.timeout(farewellMs), halt() {} });
        await client.cancelTask({ tenant: "", id: said.task.id, metadata: undefined }).catch(() => {});
      }
      throw error;
    }
  });
}

/** A conversation with an agent: what it has said so far is known also when it is broken off. */
type Talk = { client: Client; signal: AbortSignal; said: Said };

async function answerTo(request: SendMessageRequest, talk: Talk, tell: (text: string) => void): Promise<AgentAnswer> {
  await hearStream(request, talk, tell);
  const { client, signal } = talk;
  for (let waitMs = 100; ; waitMs = Math.min(2000, waitMs * 2)) {
    const { said } = talk;
    if (!said) throw new Failure("agent_answer_invalid", "the agent's stream ended before it said anything");
    if ("message" in said) return answerIn(said.message.parts);
    if (isOver(said.task)) return answerOfTask(said.task);
    tell(progressIn(said.task));
    await pause(waitMs, undefined, { signal });
    talk.said = { task: await client.getTask({ tenant: "", id: said.task.id }, { signal }) };
  }
}

/** Hears what comes of a message; of an agent that does not stream, the one thing it answers. */
async function hearStream(request: SendMessageRequest, talk: Talk, tell: (text: string) => void): Promise<void> {
  const { client, signal } = talk;
  try {
    for await (const event of client.sendMessageStream(request, { signal })) {
      talk.said = withEvent(talk.said, event);
      if (!talk.said) continue;
      if ("message" in talk.said || isOver(talk.said.task)) return;
      tell(progressIn(talk.said.task));
    }
  } catch (error) {
    signal.throwIfAborted();
    if (!talk.said) throw error; // else the stream broke off, and not the task: it can be asked for
  }
}

/** Passes a text on when it is another than before. */
function changes(onProgress: Hearing["onProgress"]): (text: string) => void {
  let last = "";
  return (text) => {
    if (text !== "" && text !== last) onProgress?.(text);
    last = text;
  };
}

async function open(url: string, fetchImpl: typeof fetch): Promise<Client> {
  const { ClientFactory, DefaultAgentCardResolver, JsonRpcTransportFactory, RestTransportFactory } = await import(
    "@a2a-js/sdk/client"
  );
  const factory = new ClientFactory({
    transports: [new JsonRpcTransportFactory({ fetchImpl }), new RestTransportFactory({ fetchImpl })],
    cardResolver: new DefaultAgentCardResolver({ fetchImpl }),
  });
  return factory.createFromUrl(url, "");
}

function requestOf(ask: AgentAsk): SendMessageRequest {
  return {
    tenant: "",
    message: questionOf(ask),
    configuration: {
      acceptedOutputModes: ["application/json", "text/plain"],
      taskPushNotificationConfig: undefined,
      returnImmediately: false,
    },
    metadata: undefined,
  };
}

function questionOf(ask: AgentAsk): Message {
  const part = { metadata: undefined, filename: "" };
  return {
    messageId: ask.message_id,
    contextId: "",
    taskId: "",
    role: 1, // of the user
    parts: [
      { ...part, content: { $case: "text", value: textOf(ask) }, mediaType: "text/plain" },
      { ...part, content: { $case: "data", value: ask }, mediaType: "application/json" },
    ],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  };
}

function answerOfTask({ status, artifacts }: Task): AgentAnswer {
  const state = status?.state ?? 0;
  if (state === completed)
    return answerIn([...artifacts.flatMap(({ parts }) => parts), ...(status?.message?.parts ?? [])]);
  const said = textIn(status?.message?.parts ?? []).slice(0, 300);
  const code = state === 4 || state === 5 ? "agent_failed" : "agent_refused";
  throw new Failure(code, `the agent's task ${words[state] ?? `is in state ${state}`}${said && `: ${said}`}`);
}

function answerIn(parts: Part[]): AgentAnswer {
  for (const { content } of parts) {
    const answer = content?.$case === "data" ? AgentAnswer.safeParse(content.value) : null;
    if (answer?.success) return answer.data;
  }
  const text = AgentAnswer.safeParse({ text: textIn(parts) });
  if (text.success) return text.data;
  throw new Failure("agent_answer_invalid", "the agent answered neither text nor data of the shape agent.answer");
}
