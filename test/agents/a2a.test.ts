import { AgentCard, type Message, type Task, TaskState } from "@a2a-js/sdk";
import {
  AgentEvent,
  type AgentExecutor,
  DefaultRequestHandler,
  InMemoryTaskStore,
  JsonRpcTransportHandler,
  ServerCallContext,
} from "@a2a-js/sdk/server";
import { afterEach, describe, expect, test } from "vitest";
import { askA2a } from "../../src/agents/a2a.ts";
import { Failure } from "../../src/contracts/failure.ts";
import { AgentAsk } from "../../src/contracts/outside.ts";
import { ask, change, outside, serveWeb } from "../support/outside.ts";

type Part = Message["parts"][number];
const part = (content: Part["content"]): Part => ({ content, metadata: undefined, filename: "", mediaType: "" });
const data = (value: unknown): Part => part({ $case: "data", value });
const text = (value: string): Part => part({ $case: "text", value });

describe("an agent of kind a2a", () => {
  const open: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
  });
  let heard: { asked: Message | null; authorization: string[]; cancelled: string[] } = {
    asked: null,
    authorization: [],
    cancelled: [],
  };

  /** A real A2A server that answers as `executor` says. */
  async function serve(execute: AgentExecutor["execute"]): Promise<string> {
    heard = { asked: null, authorization: [], cancelled: [] };
    const executor: AgentExecutor = {
      execute(context, events) {
        heard.asked = context.userMessage;
        return execute(context, events);
      },
      async cancelTask(taskId, events) {
        heard.cancelled.push(taskId);
        events.publish(AgentEvent.task(taskOf(taskId, "c", TaskState.TASK_STATE_CANCELED)));
        events.finished();
      },
    };
    let rpc: JsonRpcTransportHandler | null = null;
    let card: AgentCard | null = null;
    const { url, close } = await serveWeb(async (request) => {
      heard.authorization.push(request.headers.get("authorization") ?? "");
      if (request.method === "GET") return Response.json(AgentCard.toJSON(card as AgentCard));
      const context = new ServerCallContext({ requestedVersion: "1.0" });
      return Response.json(await rpc?.handle(await request.text(), context));
    });
    card = AgentCard.fromJSON({
      name: "outer",
      description: "writes",
      version: "1",
      supportedInterfaces: [{ url: `${url}/rpc`, protocolBinding: "JSONRPC", protocolVersion: "1.0" }],
      capabilities: {},
      defaultInputModes: ["text/plain"],
      defaultOutputModes: ["application/json"],
    });
    rpc = new JsonRpcTransportHandler(new DefaultRequestHandler(card, new InMemoryTaskStore(), executor));
    open.push({ close });
    return `${url}/.well-known/agent-card.json`;
  }
  const taskOf = (id: string, contextId: string, state: TaskState, parts: Part[] = []): Task => ({
    id,
    contextId,
    status: { state, message: undefined, timestamp: undefined },
    artifacts:
      parts.length === 0
        ? []
        : [{ artifactId: "a", name: "", description: "", parts, metadata: undefined, extensions: [] }],
    history: [],
    metadata: undefined,
  });
  const messageOf = (contextId: string, parts: Part[]): Message => ({
    messageId: "m",
    contextId,
    taskId: "",
    role: 2,
    parts,
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  });
  const call = (url: string, rest: Partial<AgentAsk> = {}, signal = new AbortController().signal) =>
    askA2a(
      { kind: "a2a", url, token: "AGENT_OUTER", timeout_ms: 5000, probe: null },
      { ...ask, ...rest },
      { outside, signal },
    );

  test("is asked in text and as data, with its bearer, and answers with a change", async () => {
    const url = await serve(async ({ contextId }, events) => {
      events.publish(AgentEvent.message(messageOf(contextId, [text("here"), data({ change })])));
      events.finished();
    });

    expect(await call(url)).toEqual({ change });
    const [question, asData] = heard.asked?.parts ?? [];
    expect(question?.content).toEqual({ $case: "text", value: "make it two" });
    expect(AgentAsk.parse(asData?.content?.value)).toEqual(ask);
    expect(new Set(heard.authorization)).toEqual(new Set(["Bearer secret of AGENT_OUTER"]));
  });

  test("may make a task of it, and answer in text", async () => {
    const url = await serve(async ({ taskId, contextId }, events) => {
      events.publish(AgentEvent.task(taskOf(taskId, contextId, TaskState.TASK_STATE_WORKING)));
      events.publish(
        AgentEvent.task(taskOf(taskId, contextId, TaskState.TASK_STATE_COMPLETED, [text(JSON.stringify(change))])),
      );
      events.finished();
    });

    expect(await call(url)).toEqual({ text: JSON.stringify(change) });
  });

  test.each([
    ["fails", TaskState.TASK_STATE_FAILED, "agent_failed"],
    ["is rejected", TaskState.TASK_STATE_REJECTED, "agent_refused"],
    ["asks for more", TaskState.TASK_STATE_INPUT_REQUIRED, "agent_refused"],
    ["asks for a login", TaskState.TASK_STATE_AUTH_REQUIRED, "agent_refused"],
    ["is done with nothing", TaskState.TASK_STATE_COMPLETED, "agent_answer_invalid"],
  ])("whose task %s is a failure of its own", async (_, state, code) => {
    const url = await serve(async ({ taskId, contextId }, events) => {
      events.publish(AgentEvent.task(taskOf(taskId, contextId, state)));
      events.finished();
    });
    await expect(call(url)).rejects.toMatchObject({ code });
  });

  test("that does not answer in time, or is called off, is given up", async () => {
    const url = await serve(() => new Promise(() => {}));
    await expect(call(url, { timeout_ms: 300 })).rejects.toMatchObject({ code: "agent_unreachable" });

    const control = new AbortController();
    const asked = call(url, {}, control.signal);
    control.abort(new Failure("cancelled", "called off"));
    await expect(asked).rejects.toMatchObject({ code: "cancelled" });
  });

  test("does not get its token shown at another address that its card names", async () => {
    const elsewhere = await serveWeb(async (request) => {
      heard.authorization.push(request.headers.get("authorization") ?? "none");
      return new Response("no", { status: 500 });
    });
    open.push(elsewhere);
    const card = AgentCard.toJSON(
      AgentCard.fromJSON({
        name: "outer",
        description: "writes",
        version: "1",
        supportedInterfaces: [{ url: `${elsewhere.url}/rpc`, protocolBinding: "JSONRPC", protocolVersion: "1.0" }],
        capabilities: {},
      }),
    );
    const { url, close } = await serveWeb(async () => Response.json(card));
    open.push({ close });
    heard.authorization = [];
    await expect(call(`${url}/card.json`)).rejects.toMatchObject({ code: "agent_failed" });
    expect(heard.authorization).toEqual(["none"]);
  });
});
