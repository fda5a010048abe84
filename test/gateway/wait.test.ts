import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { openClient } from "../../src/client/client.ts";
import { Accepted, Ended, TraceAnswer } from "../../src/contracts/http.ts";
import { openFeed } from "../../src/gateway/stream.ts";
import { waitMsIn } from "../../src/gateway/wait.ts";
import type { Claimed } from "../../src/store/messages.ts";
import { answer, bury, type Door, finish, openDoor, post, take } from "./door.ts";

describe("who prefers to wait", () => {
  let door: Door;
  beforeAll(async () => {
    door = await openDoor();
  });
  afterAll(() => door.close());

  const ask = (headers: Record<string, string>) => post(`${door.url}/api/chat`, { message: "and?" }, headers);
  const soonTaken = (): Promise<Claimed> => vi.waitFor(() => take(door.world, "chat.ask"), { timeout: 10_000 });

  test("is answered when the trace has ended, with its answer", async () => {
    const reply = ask({ prefer: "wait=20" });
    await finish(door.world, await soonTaken());

    const { status, headers } = await reply;
    const body = Ended.parse(await (await reply).json());

    expect(status).toBe(200);
    expect(headers.get("preference-applied")).toBe("wait=20");
    expect(body).toMatchObject({ trace_id: headers.get("x-trace-id"), status: "done", answer, failure: null });
  });

  test("is told how a trace failed", async () => {
    const reply = ask({ prefer: "respond-async, wait=20" });
    await bury(door.world, await soonTaken());

    const body = Ended.parse(await (await reply).json());

    expect(body).toMatchObject({ status: "failed", answer: null, failure: { code: "nothing_to_test" } });
  });

  test("is answered 202 when the time is over, and asks again under the same key", async () => {
    const headers = { prefer: "wait=0", "idempotency-key": "patient-1" };
    const first = await ask(headers);
    await finish(door.world, await soonTaken());

    const second = await ask(headers);

    expect(first.status).toBe(202);
    expect(Accepted.parse(await first.json()).status).toBe("open");
    expect(second.status).toBe(200);
    expect(second.headers.get("idempotency-replayed")).toBe("true");
    expect(Ended.parse(await second.json())).toMatchObject({ status: "done", answer });
  });

  test("reads a trace when it is over", async () => {
    const { trace_id } = Accepted.parse(await (await ask({})).json());
    const reply = fetch(`${door.url}/api/traces/${trace_id}`, { headers: { prefer: "wait=20" } });
    await finish(door.world, await soonTaken());

    const { trace, events } = TraceAnswer.parse(await (await reply).json());

    expect(trace).toMatchObject({ status: "done", answer });
    expect(events.map(({ kind }) => kind)).toEqual(["gateway_accepted", "gateway_acked", "gateway_done"]);
  });

  test("reads a trace as it stands when the time is over", async () => {
    const { trace_id } = Accepted.parse(await (await ask({})).json());

    const reply = await fetch(`${door.url}/api/traces/${trace_id}`, { headers: { prefer: "wait=0" } });

    expect(TraceAnswer.parse(await reply.json()).trace.status).toBe("open");
    await finish(door.world, await soonTaken());
  });

  test("waits with the client of this repository, which says its key again", async () => {
    const ended = openClient({ url: door.url }).ask({ message: "and?" });
    await finish(door.world, await soonTaken());

    expect(await ended).toMatchObject({ status: "done", answer });
  });

  test("asks again under its key when a connection breaks, and when nobody waited", async () => {
    const keys: (string | undefined)[] = [];
    const links = { trace: "", artifacts: "" };
    const accepted = { trace_id: randomUUID(), status: "open", links };
    const replies = [null, accepted, { ...accepted, status: "done", answer, failure: null }];
    const server = createServer((request, reply) => {
      keys.push(request.headers["idempotency-key"]?.toString());
      const said = replies[keys.length - 1];
      if (!said) return request.socket.destroy();
      reply.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(said));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;

    const ended = await openClient({ url: `http://127.0.0.1:${port}` }).ask({ message: "and?" });

    expect(ended).toMatchObject({ status: "done", answer });
    expect(keys).toEqual([keys[0], keys[0], keys[0]]);
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  test("lets go of the client when its signal fires", async () => {
    const control = new AbortController();
    const ended = openClient({ url: door.url }).ask({ message: "and?" }, { signal: control.signal });
    const message = await soonTaken();
    control.abort(new Error("enough"));

    await expect(ended).rejects.toThrow("enough");
    await finish(door.world, message);
  });

  test("of another tenant's trace there is nothing to wait for", async () => {
    const { trace_id } = Accepted.parse(await (await ask({})).json());
    const { feed, close } = feedOf();

    const wait = { withinMs: 20_000, fresh: false, gone: new AbortController().signal };
    expect(await feed.ended({ traceId: trace_id, tenant: "other" }, wait)).toBeNull();
    expect(await feed.ended({ traceId: randomUUID(), tenant: "local" }, wait)).toBeNull();

    await close();
    await finish(door.world, await soonTaken());
  });

  test("is not waited with when he has gone, or the gateway goes", async () => {
    const { trace_id: traceId } = Accepted.parse(await (await ask({})).json());
    const { feed, close } = feedOf();
    const gone = new AbortController();

    const one = feed.ended({ traceId, tenant: "local" }, { withinMs: 60_000, fresh: true, gone: gone.signal });
    gone.abort();
    expect((await one)?.status).toBe("open");
    const other = feed.ended(
      { traceId, tenant: "local" },
      { withinMs: 60_000, fresh: true, gone: new AbortController().signal },
    );
    await close();
    expect((await other)?.status).toBe("open");
    const left = { withinMs: 60_000, fresh: true, gone: AbortSignal.abort() };
    const third = feedOf();
    expect((await third.feed.ended({ traceId, tenant: "local" }, left))?.status).toBe("open");
    await third.close();
    await finish(door.world, await soonTaken());
  });

  function feedOf() {
    const feed = openFeed({ sql: door.world.sql, log: door.world.log });
    return { feed, close: () => feed.close() };
  }
});

test.each([
  ["wait=30", 30_000],
  ["return=minimal, wait=5", 5000],
  ['handling=strict; wait="7"', 7000],
  ["WAIT = 2", 2000],
  ["wait=999999", 600_000],
  ["wait=-1", null],
  ["wait=1.5", null],
  ["await=3", null],
  ["wait=soon", null],
  ["", null],
])("Prefer: %s waits %s ms", (prefer, ms) => {
  expect(waitMsIn({ headers: { prefer } })).toBe(ms);
});
