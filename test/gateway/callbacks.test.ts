import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cancelTrace } from "../../src/bus/cancel.ts";
import { settleDone } from "../../src/bus/settle.ts";
import { openClient } from "../../src/client/client.ts";
import { GenerateRequest } from "../../src/contracts/code.ts";
import { Accepted, Problem } from "../../src/contracts/http.ts";
import { CallbackTaken, CallbackTold } from "../../src/contracts/outside.ts";
import { callbackFor, waitFor } from "../../src/services/codegen/later.ts";
import { eventsOf } from "../../src/store/events.ts";
import { traceOf } from "../../src/store/traces.ts";
import { agentSpec } from "../support/agents.ts";
import { declare } from "../support/bus.ts";
import { type Door, openDoor, post, take } from "./door.ts";

const change = { summary: "two", edits: [{ path: "one.js", content: "2\n" }] };
const work = { prompt: "p", workspace: {}, language: null, build: null, test: null, max_rounds: 1, grounding: [] };
const agent = {
  ...agentSpec({
    id: "outer",
    reach: { kind: "http", url: "http://a.test/", secret: null, timeout_ms: 1000, probe: null },
  }),
  origin: "api" as const,
  paused: null,
};

describe("POST /api/callbacks/:id", () => {
  let door: Door;
  let made = 0;
  beforeAll(async () => {
    door = await openDoor();
    await declare(door.world.sql, "codegen.generate");
  });
  afterAll(() => door.close());

  /** A message of a trace in the hands of a worker. */
  async function inHand() {
    Accepted.parse(await (await post(`${door.url}/api/chat`, { message: "begin" })).json());
    const taken = await take(door.world, "chat.ask");
    return { ...taken, payload: { work, rounds: null } };
  }
  /** The same after its agent has taken the work: the trace waits. */
  async function waits() {
    const message = await inHand();
    made += 1;
    const token = `token-${made}`;
    const outside = { publicUrl: door.url, newToken: () => token };
    const callback = callbackFor(message, { outside, now: door.world.now });
    const wait = waitFor(message, { agent, callback, now: door.world.now });
    await settleDone(door.world.settling, message, { outcome: { result: {}, wait }, staged: [], records: [] });
    return { id: message.id, traceId: message.traceId, token, url: callback.url };
  }
  const answer = (id: string, token: string | null, body: unknown, type = "application/json") =>
    fetch(`${door.url}/api/callbacks/${id}`, {
      method: "POST",
      headers: { "content-type": type, ...(token !== null && { authorization: `Bearer ${token}` }) },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  const codeOf = async (reply: Response) => Problem.parse(await reply.json()).code;

  test("takes the answer once, sends the work on, and tells it", async () => {
    const { id, traceId, token, url } = await waits();

    expect(url).toBe(`${door.url}/api/callbacks/${id}`);
    const client = openClient({ url: door.url });
    expect(await client.answerCallback(id, token, { change, trace_id: traceId })).toEqual({
      trace_id: traceId,
      taken: true,
    });

    const message = await take(door.world, "codegen.generate");
    expect(message.traceId).toBe(traceId);
    expect(GenerateRequest.parse(message.payload)).toMatchObject({ work, answered: { answer: { change } } });
    expect((await eventsOf(door.world.sql, traceId)).map(({ kind }) => kind)).toContain("callback_answered");
  });

  test("answers the same answer the same, and a second one with 409", async () => {
    const { id, traceId, token } = await waits();
    expect((await answer(id, token, { text: "one" })).status).toBe(200);
    const again = await answer(id, token, { text: "one" });
    expect(CallbackTaken.parse(await again.json())).toEqual({ trace_id: traceId, taken: true });

    const other = await answer(id, token, { text: "two" });
    expect(other.status).toBe(409);
    expect(await codeOf(other)).toBe("conflict");
    const sent = await door.world.sql`select from bus_messages where trace_id = ${traceId} and role = 'generate'`;
    expect(sent).toHaveLength(1);
  });

  const progressOf = async (traceId: string) =>
    (await eventsOf(door.world.sql, traceId)).filter(({ kind }) => kind === "execute_status");

  test("tells progress at most once a second, and goes on waiting", async () => {
    const { id, traceId, token } = await waits();
    const client = openClient({ url: door.url });
    expect(await client.tellCallback(id, token, { progress: " reading ", trace_id: traceId })).toEqual({
      trace_id: traceId,
      told: true,
    });
    expect(await client.tellCallback(id, token, { progress: "too soon" })).toEqual({ trace_id: traceId, told: false });
    await door.world.moveClock(1);
    expect(await client.tellCallback(id, token, { progress: "writing" })).toMatchObject({ told: true });

    const told = await progressOf(traceId);
    expect(told.map(({ details }) => details)).toEqual([{ text: "reading" }, { text: "writing" }]);
    expect(told[0]).toMatchObject({ service: "chat", role: "ask", message_id: id, tenant: "local" });
    expect((await client.answerCallback(id, token, { text: "one" })).taken).toBe(true);
  });

  test("takes progress of many at one time once", async () => {
    const { id, traceId, token } = await waits();
    const replies = await Promise.all(["a", "b", "c", "d"].map((progress) => answer(id, token, { progress })));
    const told = await Promise.all(replies.map(async (reply) => CallbackTold.parse(await reply.json()).told));
    expect(told.filter(Boolean)).toHaveLength(1);
    expect(await progressOf(traceId)).toHaveLength(1);
  });

  test("refuses progress as it refuses an answer: early, with a wrong token, of another trace, expired, called off, over", async () => {
    const progress = { progress: "reading" };
    const early = await inHand();
    expect((await answer(early.id, "t", progress)).status).toBe(425);

    const one = await waits();
    const other = await waits();
    expect((await answer(one.id, other.token, progress)).status).toBe(401);
    expect((await answer(one.id, one.token, { ...progress, trace_id: other.traceId })).status).toBe(403);
    expect((await answer("999999999999", one.token, progress)).status).toBe(404);

    await cancelTrace(door.world.sql, { traceId: other.traceId, tenant: null, by: "test" });
    expect((await answer(other.id, other.token, progress)).status).toBe(409);
    expect((await answer(one.id, one.token, { text: "done" })).status).toBe(200);
    expect((await answer(one.id, one.token, progress)).status).toBe(409);

    const late = await waits();
    await door.world.moveClock(3601);
    const expired = await answer(late.id, late.token, progress);
    expect([expired.status, await codeOf(expired)]).toEqual([410, "callback_expired"]);
    for (const { traceId } of [one, other, late]) expect(await progressOf(traceId)).toEqual([]);
  });

  test.each([
    ["empty", { progress: "  " }],
    ["longer than 500 characters", { progress: "x".repeat(501) }],
    ["no text", { progress: 7 }],
    [
      "beside a change that is none",
      { progress: "x", change: { summary: "", edits: [{ path: "../a", content: "" }] } },
    ],
  ])("refuses progress that is %s with 400", async (_, body) => {
    const { id, traceId, token } = await waits();
    expect((await answer(id, token, body)).status).toBe(400);
    expect(await progressOf(traceId)).toEqual([]);
  });

  test.each([
    ["no token", null],
    ["a wrong token", "nobody"],
    ["a key of this system", `dag_${"a".repeat(43)}`],
  ])("refuses %s with 401, and goes on waiting", async (_, token) => {
    const { id, traceId } = await waits();
    const reply = await answer(id, token, { text: "one" });
    expect(reply.status).toBe(401);
    expect((await traceOf(door.world.sql, traceId, null))?.status).toBe("open");
    expect(
      await door.world.sql`select from bus_waits where trace_id = ${traceId} and answered_at is null`,
    ).toHaveLength(1);
  });

  test("the token of one callback does not open another", async () => {
    const one = await waits();
    const other = await waits();
    expect((await answer(other.id, one.token, { text: "mine" })).status).toBe(401);
  });

  test("refuses an answer that names another trace", async () => {
    const one = await waits();
    const other = await waits();
    const reply = await answer(one.id, one.token, { text: "x", trace_id: other.traceId });
    expect(reply.status).toBe(403);
    expect((await answer(one.id, one.token, { text: "x", trace_id: one.traceId })).status).toBe(200);
  });

  test.each([
    ["HTML", "<html>", "text/html", 415],
    ["HTML that says it is JSON", "<html>", "application/json", 400],
    ["another shape", '{"ok":true}', "application/json", 400],
    [
      "an edit that leaves the workspace",
      { change: { summary: "", edits: [{ path: "../a", content: "" }] } },
      undefined,
      400,
    ],
    ["too much", { text: "x".repeat(1_100_000) }, undefined, 413],
  ])("refuses %s, and goes on waiting", async (_, body, type, status) => {
    const { id, traceId, token } = await waits();
    const reply = await answer(id, token, body, type);
    expect(reply.status).toBe(status);
    Problem.parse(await reply.json());
    expect(
      await door.world.sql`select from bus_waits where trace_id = ${traceId} and answered_at is null`,
    ).toHaveLength(1);
  });

  test("says what is wrong of an answer that is almost one", async () => {
    const { id, token } = await waits();
    const edits = Array.from({ length: 101 }, (_, n) => ({ path: `${n}.js`, content: "" }));
    const reply = await answer(id, token, { change: { summary: "", edits } });
    expect(Problem.parse(await reply.json())).toMatchObject({
      detail: expect.stringContaining("change/edits: Too big"),
    });
  });

  test("is 425 while the work is still being handed over, and 404 where nothing ever waited", async () => {
    const { id } = await inHand();
    const early = await answer(id, "t", { text: "x" });
    expect(early.status).toBe(425);
    expect(early.headers.get("retry-after")).toBe("1");
    expect((await answer("999999999999", "t", { text: "x" })).status).toBe(404);
    expect((await answer("a", "t", { text: "x" })).status).toBe(400);
  });

  test("is 410 after its time, and the work goes back as unanswered", async () => {
    const { id, token } = await waits();
    await door.world.moveClock(3601);
    const reply = await answer(id, token, { text: "late" });
    expect(reply.status).toBe(410);
    expect(await codeOf(reply)).toBe("callback_expired");
  });
});
