import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Accepted } from "../../src/contracts/http.ts";
import { answer, bury, type Door, finish, openDoor, post, take } from "./door.ts";

describe("POST /api/chat", () => {
  let door: Door;
  let chat: string;
  beforeAll(async () => {
    door = await openDoor();
    chat = `${door.url}/api/chat`;
  });
  afterAll(() => door.close());

  const tracesOf = (key: string) => door.world.sql`select trace_id from bus_traces where idempotency_key = ${key}`;

  test("stores the request and says where to look", async () => {
    const reply = await post(chat, { message: "what is a hook?" }, { "idempotency-key": "plain-1" });

    expect(reply.status).toBe(202);
    const body = await accepted(reply);
    expect(body).toEqual({
      trace_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      status: "open",
      links: {
        trace: `/api/traces/${body.trace_id}`,
        artifacts: `/api/artifacts/index?trace_id=${body.trace_id}`,
      },
    });
    expect(reply.headers.get("location")).toBe(body.links.trace);
    expect(reply.headers.get("x-trace-id")).toBe(body.trace_id);
    expect(reply.headers.get("idempotency-replayed")).toBeNull();
    const message = await take(door.world, "chat.ask");
    expect(message).toMatchObject({
      traceId: body.trace_id,
      tenant: "local",
      intent: "chat",
      idempotencyKey: "plain-1",
    });
    expect(message.payload).toMatchObject({ message: "what is a hook?", k: 5, workspace: {} });
    await finish(door.world, message);
  });

  test("takes its trace id as the key when none is given", async () => {
    const { trace_id } = await accepted(await post(chat, { message: "no key" }));

    const message = await take(door.world, "chat.ask");
    expect(message.idempotencyKey).toBe(trace_id);
    await finish(door.world, message);
  });

  test("makes one trace of twenty requests at once with one key", async () => {
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => post(chat, { message: "once" }, { "idempotency-key": "twenty" })),
    );
    const bodies = await Promise.all(replies.map(accepted));

    expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 202));
    expect(new Set(bodies.map(({ trace_id }) => trace_id)).size).toBe(1);
    expect(replies.filter(({ headers }) => headers.get("idempotency-replayed") === "true")).toHaveLength(19);
    expect(await tracesOf("twenty")).toHaveLength(1);
    await finish(door.world, await take(door.world, "chat.ask"));
    const replayed = await post(chat, { message: "once" }, { "idempotency-key": "twenty" });
    expect(replayed.headers.get("x-trace-id")).toBe(bodies[0]?.trace_id);
    expect(await accepted(replayed)).toMatchObject({ trace_id: bodies[0]?.trace_id, status: "done" });
  });

  test("refuses another body under the same key, and names the first trace", async () => {
    const first = await accepted(await post(chat, { message: "one" }, { "idempotency-key": "other" }));

    const reply = await post(chat, { message: "two" }, { "idempotency-key": "other" });

    expect(reply.status).toBe(422);
    expect(await reply.json()).toMatchObject({ code: "idempotency_conflict", first_trace_id: first.trace_id });
    await finish(door.world, await take(door.world, "chat.ask"));
  });

  test.each([["with space"], ["ü".repeat(3)], ["x".repeat(201)], [""]])("refuses the key %j", async (key) => {
    const reply = await post(chat, { message: "hello" }, { "idempotency-key": encodeHeader(key) });

    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({
      code: "invalid_idempotency_key",
      errors: [{ in: "header", path: "/idempotency-key" }],
    });
    expect(await door.world.sql`select from bus_queue`).toHaveLength(0);
  });

  test("carries the caller's trace on, and takes an id of its own for a second request in it", async () => {
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    const first = await post(chat, { message: "first" }, { traceparent });
    const second = await post(chat, { message: "second" }, { traceparent });

    expect((await accepted(first)).trace_id).toBe("4bf92f35-77b3-4da6-a3ce-929d0e0e4736");
    const { trace_id } = await accepted(second);
    expect(trace_id).not.toBe("4bf92f35-77b3-4da6-a3ce-929d0e0e4736");
    const [row] = await door.world.sql`select traceparent from bus_traces where trace_id = ${trace_id}`;
    expect(row).toEqual({ traceparent });
    const seen = await fetch(`${door.url}/api/traces/4bf92f35-77b3-4da6-a3ce-929d0e0e4736`);
    expect(seen.status).toBe(200);
    for (let n = 0; n < 2; n += 1) await finish(door.world, await take(door.world, "chat.ask"));
  });

  test("ignores a traceparent that is none", async () => {
    const reply = await post(chat, { message: "third" }, { traceparent: "00-zz-00f067aa0ba902b7-01" });

    const { trace_id } = await accepted(reply);
    const [row] = await door.world.sql`select traceparent from bus_traces where trace_id = ${trace_id}`;
    expect(row).toEqual({ traceparent: null });
    await finish(door.world, await take(door.world, "chat.ask"));
  });

  test("streams the trace to its answer when asked for events", async () => {
    const reply = await post(chat, { message: "live" }, { accept: "text/event-stream" });
    expect(reply.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(reply.status).toBe(200);
    await finish(door.world, await take(door.world, "chat.ask"));

    const text = await reply.text();

    expect(text).toMatch(/^retry: \d+\n\n/);
    const names = [...text.matchAll(/^event: (.+)$/gm)].map(([, name]) => name);
    expect(names).toEqual(["gateway_accepted", "gateway_acked", "gateway_done", "answer"]);
    const last = text.trim().split("\n\n").at(-1) ?? "";
    expect(JSON.parse(last.replace(/^event: answer\ndata: /, ""))).toEqual(answer);
  });

  test("streams the failure of a trace that ends badly", async () => {
    const reply = await post(chat, { message: "bad end" }, { accept: "text/event-stream" });
    await bury(door.world, await take(door.world, "chat.ask"));

    const text = await reply.text();

    expect(text).toContain('event: failure\ndata: {"code":"nothing_to_test"');
  });

  test.each([
    [{ intent: "fly" }, "unknown_intent", "/intent"],
    [{ message: 7 }, "invalid_request", "/message"],
    [{ message: "hi", k: 0 }, "invalid_request", "/k"],
    [{ message: "hi", mesage: "typo" }, "invalid_request", "/mesage"],
    [{ workspace: { "../x": "" } }, "invalid_request", "/workspace/..~1x"],
    [{ workspace: { "a/b.js": 1 } }, "invalid_request", "/workspace/a~1b.js"],
    [[], "invalid_request", ""],
    [{ message: "a\0b" }, "invalid_request", "/message"],
    [{ workspace: { "a/b.js": "\ud800" } }, "invalid_request", "/workspace/a~1b.js"],
  ])("refuses %j naming the field, and stores nothing", async (body, code, path) => {
    const before = await door.world.sql`select from bus_traces`;

    const reply = await post(chat, body);

    expect(reply.status).toBe(400);
    expect(reply.headers.get("content-type")).toBe("application/problem+json; charset=utf-8");
    const problem = await reply.json();
    expect(problem).toMatchObject({
      type: `urn:dagent:problem:${code}`,
      status: 400,
      code,
      trace_id: reply.headers.get("x-trace-id"),
      errors: [{ in: "body", path }],
    });
    expect(await door.world.sql`select from bus_traces`).toHaveLength(before.length);
  });

  test("refuses a request that is too large for a message", async () => {
    const reply = await post(chat, { message: "big", workspace: { "a.txt": "x".repeat(300_000) } });

    expect(reply.status).toBe(413);
    expect(await reply.json()).toMatchObject({ code: "payload_too_large" });
  });
});

async function accepted(reply: Response): Promise<Accepted> {
  return Accepted.parse(await reply.json());
}

/** fetch sends Latin-1 headers; other bytes go through as they are. */
function encodeHeader(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
