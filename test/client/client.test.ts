import { createServer, type Server, type ServerResponse } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Client, openClient } from "../../src/client/client.ts";
import type { News } from "../../src/client/follow.ts";
import { answer, bury, type Door, finish, finishWith, openDoor, take } from "../gateway/door.ts";

describe("the client", () => {
  let door: Door;
  let client: Client;
  beforeAll(async () => {
    door = await openDoor({ adminToken: "secret" });
    client = openClient({ url: door.url });
  });
  afterAll(() => door.close());

  const namesOf = (news: News[]) => news.map((one) => (one.name === "event" ? one.event.kind : one.name));

  test("asks, follows to the answer, and reads what is left", async () => {
    const { trace_id, status } = await client.chat({ message: "hello" }, { idempotencyKey: "client-1" });
    const following = collect(client.follow(trace_id));
    await finishWith(door.world, await take(door.world, "chat.ask"), {
      name: "ä b.txt",
      contentType: "text/plain",
      content: "grüße",
    });

    const news = await following;

    expect(status).toBe("open");
    expect(namesOf(news)).toEqual(["gateway_accepted", "gateway_acked", "gateway_done", "answer"]);
    expect(news.at(-1)).toEqual({ name: "answer", answer });
    expect(await client.trace(trace_id)).toMatchObject({ trace: { status: "done", answer } });
    expect((await client.traces({ limit: 1 })).traces).toMatchObject([{ trace_id }]);
    const { artifacts } = await client.artifacts({ trace_id });
    expect(artifacts).toHaveLength(1);
    const { content, contentType, sha256 } = await client.artifact(artifacts[0]?.path ?? "");
    expect([new TextDecoder().decode(content), contentType, sha256]).toEqual([
      "grüße",
      "text/plain",
      artifacts[0]?.sha256,
    ]);
  });

  test("hears the failure a trace ends with", async () => {
    const { trace_id } = await client.chat({ message: "hello" });
    await bury(door.world, await take(door.world, "chat.ask"));

    const news = await collect(client.follow(trace_id));

    expect(news.at(-1)).toMatchObject({ name: "failure", failure: { code: "nothing_to_test" } });
  });

  test("goes on behind an event, and stops when it is told to", async () => {
    const { trace_id } = await client.chat({ message: "hello" });
    const message = await take(door.world, "chat.ask");
    const { events } = await client.trace(trace_id);
    const after = events[0]?.id ?? "";
    const stop = new AbortController();

    const news: News[] = [];
    const following = (async () => {
      for await (const one of client.follow(trace_id, { after, signal: stop.signal })) {
        news.push(one);
        stop.abort(new Error("enough"));
      }
    })();

    await expect(following).rejects.toThrow("enough");
    expect(namesOf(news)).toEqual(["gateway_acked"]);
    await finish(door.world, message);
  });

  test("throws the code, the fields and the trace of a problem", async () => {
    await expect(client.trace("nonsense")).rejects.toMatchObject({
      name: "Failure",
      code: "invalid_request",
      details: { errors: [{ in: "path", path: "/trace_id" }], trace_id: expect.any(String) },
    });
    await expect(client.artifact("../secret")).rejects.toMatchObject({ code: "not_found" });
    await expect(collect(client.follow(crypto.randomUUID()))).rejects.toMatchObject({ code: "not_found" });
    await expect(client.createKey({ name: "x", kind: "admin" })).rejects.toMatchObject({ code: "unauthorized" });
    await expect(openClient({ url: "http://127.0.0.1:1" }).health()).rejects.toMatchObject({
      code: "gateway_unreachable",
    });
  });

  test("indexes, looks around, and hands out keys", async () => {
    const admin = openClient({ url: door.url, adminToken: "secret", tenant: "local" });

    const { trace_id } = await client.index({ collection: "docs", documents: [{ id: "a", text: "b" }] });
    await finish(door.world, await take(door.world, "rag.index"));

    expect(await client.trace(trace_id)).toMatchObject({ trace: { intent: "rag.index" } });
    expect(await client.health()).toMatchObject({ status: "ok" });
    expect(await client.summary()).toMatchObject({ circuits: [] });
    expect(await client.openapi()).toMatchObject({ openapi: "3.1.0" });
    const { id, key } = await admin.createKey({ name: "mine", kind: "tenant", tenant: "acme" });
    expect((await openClient({ url: door.url, token: key }).traces()).traces).toEqual([]);
    expect((await admin.keys()).keys).toMatchObject([{ id, name: "mine" }]);
    expect(await admin.revokeKey(id)).toMatchObject({ id, revoked_at: expect.any(String) });
  });
});

describe("the client at a door that breaks", () => {
  let server: Server | null = null;
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });

  const event = (id: number) =>
    `id: ${id}\nevent: chat_status\ndata: ${JSON.stringify({
      ...{
        id: String(id),
        at: "2030-01-01T00:00:00.000Z",
        kind: "chat_status",
        service: null,
        role: null,
        shard: null,
      },
      ...{ tenant: null, intent: null, trace_id: null, message_id: null, idempotency_key: null, attempts: null },
      ...{ worker: null, agent_id: null, agent_version: null, canary: false, details: {} },
    })}\n\n`;

  /** A server that plays one script a connection, and tells where each connection went on. */
  async function play(scripts: ((response: ServerResponse) => void)[]): Promise<{ url: string; from: unknown[] }> {
    const from: unknown[] = [];
    server = createServer((request, response) => {
      from.push(request.headers["last-event-id"]);
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("retry: 1\n\n");
      scripts[from.length - 1]?.(response);
    });
    await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("it listens on TCP");
    return { url: `http://127.0.0.1:${address.port}`, from };
  }

  test("takes the stream up where it broke, and hears nothing twice", async () => {
    const { url, from } = await play([
      (response) => response.write(event(1) + event(2), () => response.destroy()),
      (response) => response.end(`: beat\n\n${event(2)}${event(3)}`),
      (response) => response.end(`event: answer\ndata: ${JSON.stringify(answer)}\n\n`),
    ]);

    const news = await collect(openClient({ url }).follow("t"));

    expect(news.map((one) => (one.name === "event" ? one.event.id : one.name))).toEqual(["1", "2", "3", "answer"]);
    expect(from).toEqual(["0", "2", "3"]);
  });

  test("stays with a trace that waits for long, as long as the gateway says that it is there", async () => {
    const quiet = Array.from(
      { length: 15 },
      () => (response: ServerResponse) => response.end("retry: 1\n\n: still here\n\n"),
    );
    const { url, from } = await play([
      ...quiet,
      (response) => response.end(`event: answer\ndata: ${JSON.stringify(answer)}\n\n`),
    ]);

    const news = await collect(openClient({ url }).follow("t"));

    expect(news.map(({ name }) => name)).toEqual(["answer"]);
    expect(from).toHaveLength(16);
  });

  test("gives up after ten connections that bring nothing", async () => {
    const { url, from } = await play(Array.from({ length: 20 }, () => (response) => response.end()));

    await expect(collect(openClient({ url }).follow("t"))).rejects.toMatchObject({ code: "gateway_unreachable" });
    expect(from).toHaveLength(10);
  });
});

async function collect(stream: AsyncGenerator<News, void>): Promise<News[]> {
  const news: News[] = [];
  for await (const one of stream) news.push(one);
  return news;
}
