import { setTimeout as pause } from "node:timers/promises";
import type { Message, Part, Task } from "@a2a-js/sdk";
import type { Client } from "@a2a-js/sdk/client";
import type { Reach } from "../contracts/agent.ts";
import { Failure } from "../contracts/failure.ts";
import { AgentAnswer, type AgentAsk, type Outside } from "../contracts/outside.ts";
import { calling, doorTo, textOf } from "./door.ts";

type A2aReach = Extract<Reach, { kind: "a2a" }>;

/** States of a task (A2A 1.0, TaskState), by what they mean here. */
const underWay = new Set([1, 2]);
const completed = 3;
const words: Record<number, string> = {
  4: "failed",
  5: "was canceled",
  6: "asks for more input",
  7: "was rejected",
  8: "asks for a login",
};

/**
 * Asks an Agent2Agent 1.0 agent: SendMessage with the question as text and, beside it, as data (`agent.ask/1`); a task that
 * is not done is asked for until it is, and cancelled when we give up. The answer is a data part of the shape
 * `agent.answer`, or the text of its parts. Its client library is loaded with the first question.
 *
 * Throws `agent_unreachable`, `agent_failed`, `agent_refused` (it wants what nobody here can give) and
 * `agent_answer_invalid`.
 */
export async function askA2a(
  { url, token }: A2aReach,
  ask: AgentAsk,
  { outside, signal }: { outside: Outside; signal: AbortSignal },
): Promise<AgentAnswer> {
  return calling(ask, signal, async (under) => {
    const client = await open(url, doorTo(url, { outside, token, under }));
    const { signal: limit } = under;
    const said = await client.sendMessage(
      {
        tenant: "",
        message: questionOf(ask),
        configuration: {
          acceptedOutputModes: ["application/json", "text/plain"],
          taskPushNotificationConfig: undefined,
          returnImmediately: false,
        },
        metadata: undefined,
      },
      { signal: limit },
    );
    return "artifacts" in said ? answerOfTask(await ended(client, said, limit)) : answerIn(said.parts);
  });
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

/** A task when nothing more comes of it. */
async function ended(client: Client, task: Task, signal: AbortSignal): Promise<Task> {
  let now = task;
  try {
    for (let waitMs = 100; underWay.has(now.status?.state ?? 0); waitMs = Math.min(2000, waitMs * 2)) {
      await pause(waitMs, undefined, { signal });
      now = await client.getTask({ tenant: "", id: task.id }, { signal });
    }
    return now;
  } catch (error) {
    // The signal is over, so the cancellation has a moment of its own; that it comes through is not promised.
    await client.cancelTask({ tenant: "", id: task.id, metadata: undefined }).catch(() => {});
    throw error;
  }
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

function textIn(parts: Part[]): string {
  return parts.flatMap(({ content }) => (content?.$case === "text" ? [content.value] : [])).join("\n");
}
