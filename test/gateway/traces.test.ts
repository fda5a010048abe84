import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cancelTrace } from "../../src/bus/cancel.ts";
import { settleDone } from "../../src/bus/settle.ts";
import { Accepted, TraceAnswer, TraceList } from "../../src/contracts/http.ts";
import { connect } from "../../src/store/database.ts";
import { tell } from "../../src/store/events.ts";
import type { Claimed } from "../../src/store/messages.ts";
import { wake } from "../../src/store/wake.ts";
import type { World } from "../support/world.ts";
import { answer, bury, type Door, finish, gatewayOf, openDoor, post, take } from "./door.ts";

describe("/api/traces", () => {
  let door: Door;
  beforeAll(async () => {
    door = await openDoor();
  });
  afterAll(() => door.close());

  async function begin(): Promise<Claimed> {
    Accepted.parse(await (await post(`${door.url}/api/chat`, { message: "begin" })).json());
    return take(door.world, "chat.ask");
  }

  async function status(message: Claimed, text: string): Promise<void> {
    await tell(door.world.sql, message, { what: "status", details: { text } });
    await wake(door.world.sql, { roles: [], flows: [], traces: [message.traceId] });
  }

  const at = (traceId: string) => `${door.url}/api/traces/${traceId}`;
  const follow = (traceId: string, headers: Record<string, string> = {}) =>
    fetch(at(traceId), { headers: { accept: "text/event-stream", ...headers } });

  test("answers the trace, its messages and its events in order", async () => {
    const message = await begin();
    await finish(door.world, message, { next: [{ to: "rag.query", payload: { query: "x" } }] });
    await finish(door.world, await take(door.world, "rag.query"));

    const reply = await fetch(at(message.traceId));

    const { trace, messages, events } = TraceAnswer.parse(await reply.json());
    expect(trace).toMatchObject({ trace_id: message.traceId, tenant: "local", intent: "chat", status: "done", answer });
    expect(messages).toMatchObject([
      { service: "chat", role: "ask", status: "done", parent_id: null },
      { service: "rag", role: "query", status: "done", parent_id: message.id },
    ]);
    expect(events.map(({ kind }) => kind)).toEqual([
      "gateway_accepted",
      "gateway_acked",
      "gateway_done",
      "rag_accepted",
      "rag_acked",
      "rag_done",
    ]);
  });

  test("answers the failure of a trace that ended badly", async () => {
    const message = await begin();
    await bury(door.world, message);

    const { trace } = TraceAnswer.parse(await (await fetch(at(message.traceId))).json());

    expect(trace).toMatchObject({ status: "failed", answer: null, failure: { code: "nothing_to_test" } });
  });

  test("knows no trace of another tenant, nor one that is not there, nor a bad id", async () => {
    const message = await begin();
    await finish(door.world, message);
    await door.world.sql`insert into tenants (id) values ('other')`;
    const foreign = { "x-tenant": "other" };

    expect((await fetch(at(message.traceId), { headers: foreign })).status).toBe(404);
    expect((await follow(message.traceId, foreign)).status).toBe(404);
    expect((await fetch(at(randomUUID()))).status).toBe(404);
    const bad = await fetch(at("not-an-id"));
    expect(bad.status).toBe(400);
    expect(await bad.json()).toMatchObject({ errors: [{ in: "path", path: "/trace_id" }] });
  });

  test("lists the latest, of one status when asked, and names a bad query field", async () => {
    const message = await begin();
    const list = async (query: string) =>
      TraceList.parse(await (await fetch(`${door.url}/api/traces${query}`)).json()).traces;

    expect(await list("?limit=1")).toMatchObject([{ trace_id: message.traceId, status: "open" }]);
    expect(await list("?status=open")).toHaveLength(1);
    await finish(door.world, message);
    expect(await list("?status=open")).toEqual([]);
    for (const [query, path] of [
      ["?limit=0", "/limit"],
      ["?limit=many", "/limit"],
      ["?nope=1", "/nope"],
      ["?before=x", "/before"],
      ["?intent=poetry", "/intent"],
    ]) {
      const reply = await fetch(`${door.url}/api/traces${query}`);
      expect(reply.status).toBe(400);
      expect(await reply.json()).toMatchObject({ errors: [{ in: "query", path }] });
    }
  });

  test("lists page by page, by intent, and says what a trace waits for", async () => {
    const list = async (query: string) => TraceList.parse(await (await fetch(`${door.url}/api/traces${query}`)).json());
    const first = await begin();
    const outcome = {
      result: {},
      wait: { kind: "callback", asked: {}, expiresMs: 60_000, next: { to: "chat.ask", payload: {} } },
    };
    await settleDone(door.world.settling, first, { outcome, staged: [], records: [] });
    const second = await begin();
    await finish(door.world, second);

    const page = await list("?limit=1");
    expect(page.traces).toMatchObject([{ trace_id: second.traceId, waits_for: [] }]);
    const next = await list(`?limit=1&before=${page.next}`);
    expect(next.traces).toMatchObject([
      { trace_id: first.traceId, status: "open", waits_for: [{ kind: "callback", expires_at: expect.any(String) }] },
    ]);
    expect((await list("?status=waiting")).traces.map(({ trace_id }) => trace_id)).toEqual([first.traceId]);
    expect((await list("?intent=chat&limit=1")).traces).toHaveLength(1);
    expect((await list("?intent=code.generate")).traces).toEqual([]);
    expect((await list("?limit=500")).next).toBe(null);
    const { trace } = TraceAnswer.parse(await (await fetch(at(first.traceId))).json());
    expect(trace.waits_for).toHaveLength(1);
    await cancelTrace(door.world.sql, { traceId: first.traceId, tenant: "local", by: "me" });
    expect((await list("?status=waiting")).traces).toEqual([]);
  });

  describe("as a stream", () => {
    test("resumes after the last event id with exactly what came behind it", async () => {
      const message = await begin();
      const first = reader(await follow(message.traceId));
      await status(message, "one");
      const seen = await first.until("one");
      await first.cancel();
      await status(message, "two");
      await finish(door.world, message);

      const rest = await (await follow(message.traceId, { "last-event-id": lastIdIn(seen) })).text();

      expect([...rest.matchAll(/"details":\{"text":"(\w+)"/g)].map(([, text]) => text)).toEqual(["two"]);
      expect(namesIn(rest)).toEqual(["gateway_status", "gateway_done", "answer"]);
    });

    test("shows no event before one with a smaller id that is still being written", async () => {
      const message = await begin();
      const stream = reader(await follow(message.traceId));
      await stream.until("gateway_acked");
      const held = connect(door.world.url, { max: 1 });
      await held.unsafe("begin");
      await tell(held, message, { what: "status", details: { text: "early" } });
      await status(message, "late");
      await untilSomebodyWaitsForWriters(door.world); // before the end: nobody waits in a trace that is over
      await finish(door.world, message);

      await held.unsafe("commit");
      await held.end();

      const text = await stream.until("event: answer");
      expect(text.indexOf("early")).toBeGreaterThan(0);
      expect(text.indexOf("late")).toBeGreaterThan(text.indexOf("early"));
      const ids = [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
      expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
    });

    test("brings many events in pages, each once", async () => {
      const message = await begin();
      await door.world.sql`
        insert into bus_facts (kind, trace_id, tenant)
        select 'chat_status', ${message.traceId}, 'local' from generate_series(1, 450)`;
      await finish(door.world, message);

      const text = await (await follow(message.traceId)).text();

      expect(namesIn(text).filter((name) => name === "chat_status")).toHaveLength(450);
      expect(namesIn(text).at(-1)).toBe("answer");
    });

    test("hears what another gateway let in", async () => {
      const other = await gatewayOf(door.world);
      const reply = await post(`${other.url}/api/chat`, { message: "elsewhere" });
      const { trace_id } = Accepted.parse(await reply.json());
      const stream = reader(await follow(trace_id));
      await finish(door.world, await take(door.world, "chat.ask"));

      expect(namesIn(await stream.until("event: answer")).at(-1)).toBe("answer");
      await other.close();
    });

    test("ends when the gateway closes", async () => {
      const message = await begin();
      const other = await gatewayOf(door.world);
      const reply = await fetch(`${other.url}/api/traces/${message.traceId}`, {
        headers: { accept: "text/event-stream" },
      });
      const stream = reader(reply);
      await stream.until("gateway_acked");

      await other.close();

      expect(await stream.rest()).not.toContain("event: answer");
      await finish(door.world, message);
    });

    test("refuses a Last-Event-ID that is none", async () => {
      const message = await begin();
      await finish(door.world, message);

      const reply = await follow(message.traceId, { "last-event-id": "yesterday" });

      expect(reply.status).toBe(400);
      expect(await reply.json()).toMatchObject({ errors: [{ in: "header", path: "/last-event-id" }] });
    });
  });

  describe("called off", () => {
    const cancel = (traceId: string, headers: Record<string, string> = {}) =>
      fetch(`${at(traceId)}/cancel`, { method: "POST", headers });

    test("ends, and says so only once", async () => {
      const reply = await post(`${door.url}/api/chat`, { message: "never mind" });
      const { trace_id } = Accepted.parse(await reply.json());

      expect(await (await cancel(trace_id)).json()).toEqual({ trace_id, cancelled: true });
      expect(await (await cancel(trace_id)).json()).toEqual({ trace_id, cancelled: false });

      const { trace, messages } = TraceAnswer.parse(await (await fetch(at(trace_id))).json());
      expect(trace).toMatchObject({ status: "failed", failure: { code: "cancelled" } });
      expect(messages).toMatchObject([{ status: "cancelled", attempts: 0 }]);
    });

    test("is refused for what is not there, is no id, or belongs to somebody else", async () => {
      expect((await cancel(randomUUID())).status).toBe(404);
      expect((await cancel("none")).status).toBe(400);
      const locked = await openDoor();
      await locked.world.sql`
        insert into access_keys (name, kind, tenant, sha256) values ('k', 'tenant', 'local', sha256('k'))`;
      expect((await fetch(`${locked.url}/api/traces/${randomUUID()}/cancel`, { method: "POST" })).status).toBe(401);
      await locked.close();
    });
  });
});

function namesIn(text: string): string[] {
  return [...text.matchAll(/^event: (.+)$/gm)].map(([, name = ""]) => name);
}

function lastIdIn(text: string): string {
  return [...text.matchAll(/^id: (\d+)$/gm)].at(-1)?.[1] ?? "0";
}

/** Until the look-up of open writers was seen at two different times: whoever does not wait looks once. */
async function untilSomebodyWaitsForWriters({ sql }: World): Promise<void> {
  const seen = new Set<string>();
  while (seen.size < 2) {
    const rows = await sql<{ began: string }[]>`
      select query_start::text as began from pg_stat_activity
      where datname = current_database() and query like '%virtualtransaction as writer%' and pid <> pg_backend_pid()`;
    for (const { began } of rows) seen.add(began);
  }
}

/** Reads a stream bit by bit. */
function reader({ body }: Response) {
  if (!body) throw new Error("a stream has a body");
  const bytes = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  async function more(): Promise<boolean> {
    const { value, done } = await bytes.read();
    if (value) text += decoder.decode(value, { stream: true });
    return !done;
  }
  return {
    async until(part: string): Promise<string> {
      while (!text.includes(part)) if (!(await more())) throw new Error(`the stream ended without ${part}`);
      return text;
    },
    async rest(): Promise<string> {
      while (await more());
      return text;
    },
    cancel: () => bytes.cancel(),
  };
}
