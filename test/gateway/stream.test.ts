import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Feed, openFeed } from "../../src/gateway/stream.ts";
import type { Claimed } from "../../src/store/messages.ts";
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
