import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cancelTrace } from "../../src/bus/cancel.ts";
import { follow } from "../../src/bus/draft.ts";
import { publish } from "../../src/bus/publish.ts";
import { type Backlog, backlogs } from "../../src/store/backlog.ts";
import type { Taken } from "../../src/store/claims.ts";
import { type BusEvent, eventsOf } from "../../src/store/events.ts";
import { declareRoles } from "../../src/store/lanes.ts";
import { type Done, step } from "../../src/store/step.ts";
import { isOne, stepOne } from "../../src/store/stepone.ts";
import { envelopesOf, traceOf } from "../../src/store/traces.ts";
import { claim, declare } from "../support/bus.ts";
import { openWorld, type World } from "../support/world.ts";

/** What one attempt leaves behind. */
const anyEnd = fc.record({
  result: fc.option(fc.jsonValue()),
  answer: fc.option(fc.record({ text: fc.string({ unit: "binary" }) })),
  records: fc.array(
    fc.record({ kind: fc.constant("gateway_intent"), data: fc.dictionary(fc.string(), fc.integer()) }),
    {
      maxLength: 2,
    },
  ),
  next: fc.option(
    fc.record({
      to: fc.constantFrom("rag.query", "rag.index"),
      payload: fc.jsonValue(),
      priority: fc.integer({ min: 0, max: 9 }),
      rest: fc.constantFrom({}, {}, { ttlMs: 60_000 }),
    }),
    { freq: 4 },
  ),
  frees: fc.boolean(),
  calledOff: fc.boolean(),
});

const nextOf = ({ rest, ...next }: { to: string; payload: unknown; priority: number; rest: { ttlMs?: number } }) => {
  return { ...next, ...rest };
};

describe("one settlement alone", () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
    await declare(world.sql, "chat.ask", "rag.query");
    await declareRoles(world.sql, [{ role: "rag.index", shards: null, ordered: true }]);
  });
  afterAll(() => world.close());

  async function claimed(): Promise<Taken> {
    const traceId = randomUUID();
    const key = { idempotencyKey: traceId, traceparent: null };
    await publish(world.sql, { to: "chat.ask", tenant: "local", intent: "chat", payload: {}, traceId, ...key });
    const [message] = await claim(world.sql, { roles: ["chat.ask"], worker: "w", limit: 1, leaseMs: 60_000 });
    if (!message) throw new Error("nothing was due");
    return message;
  }

  const doneOf = async (
    message: Taken,
    { next, result, answer, records }: typeof anyEnd extends fc.Arbitrary<infer End> ? End : never,
  ): Promise<Done> => ({
    ...{ message, result, answer, records },
    next: next ? [await follow(world.sql, message, { ...nextOf(next), shardKey: message.traceId })] : [],
  });

  /** All that can be seen of a trace, without what no two have in common. */
  async function seen({ traceId, lease }: Taken) {
    const plain = ({ kind, role, tenant, intent, attempts, worker, details }: BusEvent) => {
      return { kind, role, tenant, intent, attempts, worker, details };
    };
    const trace = await traceOf(world.sql, traceId, null);
    return {
      events: (await eventsOf(world.sql, traceId)).map(plain).sort((a, b) => (a.kind < b.kind ? -1 : 1)),
      envelopes: (await envelopesOf(world.sql, traceId)).map(({ role, status, attempts }) => ({
        role,
        status,
        attempts,
      })),
      end: { status: trace?.status, answer: trace?.answer, failure: trace?.failure?.code },
      lease: (await world.sql`select from bus_leases where token = ${lease.token}`).length,
      deadlines: (
        await world.sql`
        select from bus_deadlines d join bus_messages m on m.id = d.message_id where m.trace_id = ${traceId}`
      ).length,
    };
  }

  const counted = () => backlogs(world.sql);

  test("leaves what a settlement in a list leaves", async () => {
    await fc.assert(
      fc.asyncProperty(anyEnd, async (end) => {
        const [one, other] = [await claimed(), await claimed()];
        for (const { traceId } of end.calledOff ? [one, other] : []) {
          await cancelTrace(world.sql, { traceId, tenant: "local", by: "test" });
        }
        const [alone, listed] = [await doneOf(one, end), await doneOf(other, end)];
        expect(isOne(alone)).toBe(true);
        const before = await counted();

        const freed = end.frees ? one.lease.ids : null;
        expect(await stepOne(world.sql, alone, { freed, hands: false, leaseMs: 1 })).toEqual({
          lost: false,
          taken: null,
        });
        const between = await counted();
        const still = { packs: [], asked: [], limit: 0, own: true, lanes: new Map(), leaseMs: 0, worker: "w" };
        await step(world.sql, { ...still, done: [listed], freed: end.frees ? [other.lease] : [] });
        const after = await counted();

        expect(await seen(one)).toEqual(await seen(other));
        const change = (from: Backlog[], to: Backlog[]) =>
          ["ask", "query", "index"].map((role) => {
            const sum = (all: Backlog[], of: (one: Backlog) => number) =>
              all.filter((one) => one.role === role).reduce((total, one) => total + of(one), 0);
            const moved = (of: (one: Backlog) => number) => sum(to, of) - sum(from, of);
            return {
              role,
              queued: moved((one) => one.queued),
              due: moved((one) => one.due),
              held: moved((one) => one.claimed),
            };
          });
        expect(change(before, between)).toEqual(change(between, after));
      }),
      { numRuns: 60 },
    );
  });

  test("hands its follow-up on as a claim would have brought it", async () => {
    const [one, other] = [await claimed(), await claimed()];
    const assignment = {
      ...{ agent_id: "bold", agent_version: "1", canary: false, model: null, ttl_ms: null },
      budget: { max_cost_usd: null, max_tokens: 7 },
    };
    const next = { to: "rag.query", payload: { é: ["\u2028", null, 1e21] }, priority: 7, assignment };
    const drafts = await Promise.all([one, other].map((message) => follow(world.sql, message, next)));
    const [draft, twin] = drafts;
    if (!draft || !twin) throw new Error("two messages have two follow-ups");

    const end = { result: {}, answer: null, records: [] };
    const { taken } = await stepOne(
      world.sql,
      { ...end, message: one, next: [draft] },
      { freed: one.lease.ids, hands: true, leaseMs: 60_000 },
    );
    await stepOne(world.sql, { ...end, message: other, next: [twin] }, { freed: null, hands: false, leaseMs: 60_000 });
    const all = await claim(world.sql, { roles: ["rag.query"], worker: "w", limit: 1000, leaseMs: 60_000 });
    const came = all.find((message) => message.traceId === other.traceId);

    const { id, token, lease, traceId, rootId, parentId, idempotencyKey, createdAt, ...rest } = taken as Taken;
    expect({ ...came, ...{ id, token, lease, traceId, rootId, parentId, idempotencyKey, createdAt } }).toEqual({
      ...rest,
      ...{ id, token, lease, traceId, rootId, parentId, idempotencyKey, createdAt },
    });
    expect({ traceId, rootId, parentId, idempotencyKey }).toEqual({
      ...{ traceId: one.traceId, rootId: one.rootId, parentId: one.id, idempotencyKey: one.idempotencyKey },
    });
    expect(await envelopesOf(world.sql, one.traceId)).toMatchObject([
      { role: "ask", status: "done" },
      { id, role: "query", status: "claimed", attempts: 1 },
    ]);
    expect((await eventsOf(world.sql, one.traceId)).map(({ kind }) => kind)).toEqual([
      ...["gateway_accepted", "gateway_acked", "gateway_done", "rag_accepted", "rag_acked"],
    ]);
    const still = { next: [], records: [], result: 1, answer: { text: "well" } };
    expect(
      await stepOne(world.sql, { ...still, message: taken as Taken }, { freed: [id], hands: false, leaseMs: 0 }),
    ).toMatchObject({ lost: false });
    expect((await traceOf(world.sql, one.traceId, null))?.status).toBe("done");
  });

  test.each([
    ["another worker's", async (message: Taken) => ({ ...message, worker: "x" })],
    ["another lease's", async (message: Taken) => ({ ...message, token: `${BigInt(message.token) + 1n}` })],
    [
      "a message that is not in the lease",
      async (message: Taken) => ({ ...message, id: `${BigInt(message.id) + 1n}` }),
    ],
    [
      "a lease that is gone",
      async (message: Taken) => {
        await world.sql`delete from bus_leases where token = ${message.token}`;
        return message;
      },
    ],
  ])("writes nothing for %s", async (_, changed) => {
    const message = await claimed();
    const next = [await follow(world.sql, message, { to: "rag.query", payload: {} })];
    const done = {
      message: await changed(message),
      result: 1,
      answer: null,
      next,
      records: [{ kind: "told_it", data: {} }],
    };

    for (const freed of [null, message.lease.ids]) {
      expect(await stepOne(world.sql, done, { freed, hands: true, leaseMs: 1 })).toEqual({ lost: true, taken: null });
    }

    expect((await eventsOf(world.sql, message.traceId)).map(({ kind }) => kind)).not.toContain("gateway_done");
    expect(await envelopesOf(world.sql, message.traceId)).toHaveLength(1);
  });

  test("ends no attempt twice", async () => {
    const message = await claimed();
    const done = { message, result: 1, answer: null, next: [], records: [] };
    await stepOne(world.sql, done, { freed: null, hands: false, leaseMs: 1 });

    await expect(stepOne(world.sql, done, { freed: null, hands: false, leaseMs: 1 })).rejects.toMatchObject({
      code: "lease_lost",
    });
  });

  test("refuses a follow-up to a role that is not there, whole", async () => {
    const message = await claimed();
    const next = [{ ...(await follow(world.sql, message, { to: "rag.query", payload: {} })), role: "nothing" }];

    await expect(
      stepOne(
        world.sql,
        { message, result: 1, answer: null, next, records: [] },
        { freed: null, hands: true, leaseMs: 1 },
      ),
    ).rejects.toMatchObject({ code: "unknown_role" });

    expect((await envelopesOf(world.sql, message.traceId))[0]?.status).toBe("claimed");
  });
});
