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
  let heard: { asked: Message | null; authorization: string[]; methods: string[] } = {
    asked: null,
    authorization: [],
    methods: [],
  };

  /** A real A2A server that answers as `executor` says. */
  async function serve(
    execute: AgentExecutor["execute"],
    { streaming = false, cutAfter = 99, open: leaveOpen = false } = {},
  ): Promise<string> {
    heard = { asked: null, authorization: [], methods: [] };
    const executor: AgentExecutor = {
      execute(context, events) {
        heard.asked = context.userMessage;
        return execute(context, events);
      },
      async cancelTask(taskId, events) {
        events.publish(statusOf(taskId, "c", TaskState.TASK_STATE_CANCELED));
        events.finished();
      },
    };
    let rpc: JsonRpcTransportHandler | null = null;
    let card: AgentCard | null = null;
    const { url, close } = await serveWeb(async (request) => {
      heard.authorization.push(request.headers.get("authorization") ?? "");
      if (request.method === "GET") return Response.json(AgentCard.toJSON(card as AgentCard));
      const context = new ServerCallContext({ requestedVersion: "1.0" });
      const asked = await request.text();
      heard.methods.push(JSON.parse(asked).method);
      const said = await rpc?.handle(asked, context);
      return said && Symbol.asyncIterator in said ? streamOf(said, { cutAfter, leaveOpen }) : Response.json(said);
    });
    card = AgentCard.fromJSON({
      name: "outer",
      description: "writes",
      version: "1",
      supportedInterfaces: [{ url: `${url}/rpc`, protocolBinding: "JSONRPC", protocolVersion: "1.0" }],
      capabilities: { streaming },
      defaultInputModes: ["text/plain"],
      defaultOutputModes: ["application/json"],
    });
    rpc = new JsonRpcTransportHandler(new DefaultRequestHandler(card, new InMemoryTaskStore(), executor));
    open.push({ close });
    return `${url}/.well-known/agent-card.json`;
  }
  /** Server-sent events; after `cutAfter` of them the connection breaks, and the agent works on. */
  function streamOf(
    said: AsyncIterable<unknown>,
    { cutAfter, leaveOpen }: { cutAfter: number; leaveOpen: boolean },
  ): Response {
    const events = said[Symbol.asyncIterator]();
    let sent = 0;
    const body = new ReadableStream({
      async pull(out) {
        if (sent === cutAfter) {
          void (async () => {
            while (!(await events.next()).done);
          })();
          return out.error(new Error("the wire is cut"));
        }
        const { done, value } = await events.next();
        if (done && leaveOpen) return new Promise(() => {});
        if (done) return out.close();
        sent += 1;
        out.enqueue(Buffer.from(`data: ${JSON.stringify(value)}\n\n`));
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }
  const statusOf = (taskId: string, contextId: string, state: TaskState, said?: string) =>
    AgentEvent.statusUpdate({
      taskId,
      contextId,
      status: {
        state,
        message: said === undefined ? undefined : messageOf(contextId, [text(said)]),
        timestamp: undefined,
      },
      metadata: undefined,
    });
  const pieceOf = (taskId: string, contextId: string, parts: Part[], append: boolean) =>
    AgentEvent.artifactUpdate({
      taskId,
      contextId,
      artifact: { artifactId: "a", name: "", description: "", parts, metadata: undefined, extensions: [] },
      append,
      lastChunk: false,
      metadata: undefined,
    });
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
  let progress: string[] = [];
  const call = (url: string, rest: Partial<AgentAsk> = {}, signal = new AbortController().signal) => {
    progress = [];
    return askA2a(
      { kind: "a2a", url, token: "AGENT_OUTER", timeout_ms: 5000, probe: null },
      { ...ask, ...rest },
      { outside, signal, onProgress: (said) => void progress.push(said) },
    );
  };

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

  /** A task that says how far it is and answers in pieces of one text. */
  const inPieces: AgentExecutor["execute"] = async ({ taskId, contextId }, events) => {
    const whole = JSON.stringify(change);
    events.publish(AgentEvent.task(taskOf(taskId, contextId, TaskState.TASK_STATE_SUBMITTED)));
    for (const said of ["reading", "reading", "writing"])
      events.publish(statusOf(taskId, contextId, TaskState.TASK_STATE_WORKING, said));
    events.publish(pieceOf(taskId, contextId, [text(whole.slice(0, 9))], false));
    events.publish(pieceOf(taskId, contextId, [text(whole.slice(9))], true));
    events.publish(statusOf(taskId, contextId, TaskState.TASK_STATE_COMPLETED));
    events.finished();
  };

  test("that streams tells how far it is when that changes, and its pieces are one text", async () => {
    const url = await serve(inPieces, { streaming: true });

    expect(await call(url)).toEqual({ text: JSON.stringify(change) });
    expect(progress).toEqual(["reading", "writing"]);
  });

  test("that streams may answer with a message, and fail like any other", async () => {
    const url = await serve(
      async ({ contextId }, events) => {
        events.publish(AgentEvent.message(messageOf(contextId, [data({ change })])));
        events.finished();
      },
      { streaming: true },
    );
    expect(await call(url)).toEqual({ change });

    const bad = await serve(
      async ({ taskId, contextId }, events) => {
        events.publish(AgentEvent.task(taskOf(taskId, contextId, TaskState.TASK_STATE_WORKING)));
        events.publish(statusOf(taskId, contextId, TaskState.TASK_STATE_FAILED, "no disk"));
        events.finished();
      },
      { streaming: true },
    );
    await expect(call(bad)).rejects.toMatchObject({
      code: "agent_failed",
      message: expect.stringContaining("no disk"),
    });
    expect(progress).toEqual([]);
  });

  test.each([1, 3])("whose stream breaks off after %i events is asked until its task is done", async (cutAfter) => {
    const url = await serve(
      async ({ taskId, contextId }, events) => {
        events.publish(AgentEvent.task(taskOf(taskId, contextId, TaskState.TASK_STATE_SUBMITTED)));
        events.publish(statusOf(taskId, contextId, TaskState.TASK_STATE_WORKING, "writing"));
        events.publish(pieceOf(taskId, contextId, [data({ change })], false));
        events.publish(statusOf(taskId, contextId, TaskState.TASK_STATE_COMPLETED));
        events.finished();
      },
      { streaming: true, cutAfter },
    );

    expect(await call(url)).toEqual({ change });
  });

  test.each([true, false])(
    "whose task is under way when it is given up has it cancelled (streaming: %s)",
    async (streaming) => {
      const url = await serve(
        async ({ taskId, contextId }, events) => {
          events.publish(AgentEvent.task(taskOf(taskId, contextId, TaskState.TASK_STATE_SUBMITTED)));
          events.publish(statusOf(taskId, contextId, TaskState.TASK_STATE_WORKING, "reading"));
          if (streaming) await new Promise(() => {});
          events.finished();
        },
        { streaming },
      );

      await expect(call(url, { timeout_ms: 300 })).rejects.toMatchObject({ code: "agent_unreachable" });
      expect(heard.methods.at(-1)).toBe("CancelTask");
      expect(progress).toEqual(["reading"]);
    },
  );

  test("that leaves its stream open when all is said is not waited for", async () => {
    const url = await serve(
      async ({ taskId, contextId }, events) => {
        events.publish(AgentEvent.task(taskOf(taskId, contextId, TaskState.TASK_STATE_WORKING)));
        events.publish(pieceOf(taskId, contextId, [data({ change })], false));
        events.publish(statusOf(taskId, contextId, TaskState.TASK_STATE_COMPLETED, "well"));
        await new Promise(() => {});
      },
      { streaming: true, open: true },
    );

    expect(await call(url)).toEqual({ change });
    expect(progress).toEqual([]);
  });

  test("that streams more than an answer may have is not read to its end", async () => {
    const url = await serve(
      async ({ taskId, contextId }, events) => {
        events.publish(AgentEvent.task(taskOf(taskId, contextId, TaskState.TASK_STATE_WORKING)));
        for (let n = 0; n < 30; n++) events.publish(pieceOf(taskId, contextId, [text("x".repeat(100_000))], n > 0));
      },
      { streaming: true },
    );

    await expect(call(url)).rejects.toMatchObject({ code: "agent_answer_invalid" });
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
