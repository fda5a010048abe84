import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Feed, openFeed } from "../../src/gateway/stream.ts";
import type { Claimed } from "../../src/store/messages.ts";
import { tellSaid } from "../../src/store/tokens.ts";
import { type Door, finish, openDoor, post, take } from "./door.ts";

describe("a stream", () => {
  let door: Door;
  let feed: Feed;
  let message: Claimed;
  beforeAll(async () => {
    door = await openDoor();
    feed = openFeed({ sql: door.world.sql, log: door.world.log, heartbeatMs: 10 });
    await post(`${door.url}/api/chat`, { message: "begin" });
    message = await take(door.world, "chat.ask");
  });
  afterAll(async () => {
    await feed.close();
    await door.close();
  });

  test("shows that it lives while nothing happens", async () => {
    const stream = feed.open({ traceId: message.traceId, tenant: "local", after: "0" });
    let text = "";
    for await (const part of stream) {
      text += part;
      if (text.includes(": still here\n\n")) break;
    }

    expect(text).toContain("event: gateway_acked");
  });

  test("reads no further than its reader: a slow one holds a page, not the trace", async () => {
    await door.world.sql`
      insert into bus_facts (kind, trace_id, tenant, details)
      select 'chat_status', ${message.traceId}, 'local', jsonb_build_object('text', repeat('x', 1000))
      from generate_series(1, 5000)`;
    const stream = feed.open({ traceId: message.traceId, tenant: "local", after: "0" });

    await once(stream, "readable");
    for (let n = 0; n < 30; n += 1) await door.world.sql`select 1`; // time enough for whoever reads ahead

    expect(stream.readableLength).toBeGreaterThan(0);
    expect(stream.readableLength).toBeLessThan(200_000);
    stream.destroy();
  });

  test("passes on what a model is saying, in order, and to readers of that trace alone", async () => {
    const begin = async () => {
      await post(`${door.url}/api/chat`, { message: "another" });
      return (await take(door.world, "chat.ask")).traceId;
    };
    const traceId = await begin();
    const [mine, theirs, stranger] = [
      { traceId, tenant: "local", after: "0" },
      { traceId: await begin(), tenant: "local", after: "0" },
      { traceId, tenant: "other", after: "0" },
    ].map((wish) => feed.open(wish));
    const heard: string[] = ["", "", ""];
    const soon = { timeout: 20_000 };
    for (const [n, stream] of [mine, theirs, stranger].entries()) {
      stream?.on("data", (part) => {
        heard[n] += part;
      });
    }
    await expect.poll(() => heard[0], soon).toContain("gateway_acked");

    const said = { trace_id: traceId, round: 2 };
    // Until the listener is there nobody hears: it is a channel without memory.
    await expect
      .poll(async () => {
        await tellSaid(door.world.sql, { ...said, text: "knock" });
        return heard[0];
      }, soon)
      .toContain("knock");
    await tellSaid(door.world.sql, { ...said, text: `one\ntwo\0${"é".repeat(3000)}` });
    await tellSaid(door.world.sql, { ...said, text: "end" });
    await expect.poll(() => heard[0], soon).toContain('"end"');

    const texts = [...(heard[0] ?? "").matchAll(/event: token\ndata: (.*)\n/g)].map(([, data]) =>
      JSON.parse(data ?? ""),
    );
    expect(texts.every(({ round }) => round === 2)).toBe(true);
    expect(texts.map(({ text }) => text).join("")).toContain(`one\ntwo\ufffd${"é".repeat(3000)}end`);
    expect(heard[1]).not.toContain("event: token");
    expect(heard[2]).not.toContain("event: token");
    for (const stream of [mine, theirs, stranger]) stream?.destroy();
    expect(await door.world.sql`select from bus_facts where details::text like '%knock%'`).toHaveLength(0);
  });

  test("is forgotten when its reader has gone, however early", async () => {
    const { hostname, port } = new URL(door.url);
    const request = `GET /api/traces/${message.traceId} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`;
    for (let n = 0; n < 300; n += 1) {
      const socket = connect(Number(port), hostname);
      socket.on("error", () => {});
      await new Promise<void>((resolve) => socket.write(request, () => resolve()));
      socket.destroy();
    }
    await finish(door.world, message);

    const reply = await fetch(`${door.url}/api/traces/${message.traceId}`, {
      headers: { accept: "text/event-stream", "last-event-id": "999999" },
    });

    expect(reply.status).toBe(200);
    expect(await reply.text()).toContain("event: answer");
  });
});
