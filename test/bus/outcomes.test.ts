import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { cancelTrace } from "../../src/bus/cancel.ts";
import { answerWait } from "../../src/bus/waits.ts";
import { Failure } from "../../src/contracts/failure.ts";
import { eventsOf } from "../../src/store/events.ts";
import { envelopesOf, traceOf } from "../../src/store/traces.ts";
import { openWaits, waitOf } from "../../src/store/waits.ts";
import { answer, gate, handler, openCrew } from "../support/crew.ts";
import { openWorld, type World } from "../support/world.ts";

const soon = { timeout: 10_000 };

describe.each([
  ["of workers that hear wake-ups", false],
  ["without any wake-up, by looking alone", true],
])("outcomes %s", (_name, deaf) => {
  let world: World;
  let crew: ReturnType<typeof openCrew>;
  beforeEach(async () => {
    world = await openWorld();
    crew = openCrew(world, { deaf });
  });
  afterEach(async () => {
    await crew.stop();
    await world.close();
  });

  describe("a join", () => {
    const fan = handler("chat.ask", async () => ({
      result: 1,
      next: ["a", "b", "c"].map((key) => ({ to: "rag.query", payload: { key }, key })),
      join: { to: "chat.gather", payload: { question: "all?" } },
    }));

    test("goes out once, when the last branch has ended, with what each of them answered", async () => {
      const gathered: unknown[] = [];
      await crew.start([
        fan,
        handler("rag.query", async ({ payload }) => ({ result: payload })),
        handler("chat.gather", async ({ payload }) => {
          gathered.push(payload);
          return { result: 1, answer };
        }),
      ]);

      const traceId = await crew.ask("chat.ask");

      await crew.ended(traceId).toBe("done");
      const branch = (key: string) => ({ to: "rag.query", key, status: "done", result: { key }, failure: null });
      expect(gathered).toEqual([{ question: "all?", branches: ["a", "b", "c"].map(branch) }]);
    });

    test("hears of a branch that died, and the trace lives on", async () => {
      const gathered: unknown[] = [];
      await crew.start([
        fan,
        handler("rag.query", async ({ payload, idempotencyKey }) => {
          if (idempotencyKey === "b") throw new Failure("nothing_to_test", "b is empty");
          return { result: payload };
        }),
        handler("chat.gather", async ({ payload }) => {
          gathered.push(payload);
          return { result: 1, answer };
        }),
      ]);

      const traceId = await crew.ask("chat.ask");

      await crew.ended(traceId).toBe("done");
      expect(gathered).toMatchObject([
        {
          branches: [{ status: "done" }, { status: "dead", failure: { code: "nothing_to_test" } }, { status: "done" }],
        },
      ]);
    });

    test("waits for what follows from its branches, and for joins inside them", async () => {
      const gathered: unknown[] = [];
      await crew.start([
        handler("chat.ask", async () => ({
          result: 1,
          next: [
            { to: "rag.query", payload: {}, key: "long" },
            { to: "rag.index", payload: {}, key: "short" },
          ],
          join: { to: "chat.gather", payload: {} },
        })),
        handler("rag.query", async () => ({
          result: "opened another",
          next: [
            { to: "rag.index", payload: {}, key: "x" },
            { to: "rag.index", payload: {}, key: "y" },
          ],
          join: { to: "chat.inner", payload: {} },
        })),
        handler("rag.index", async ({ idempotencyKey }) => ({ result: idempotencyKey })),
        handler("chat.inner", async () => ({ result: "inner" })),
        handler("chat.gather", async ({ payload }) => {
          gathered.push(payload);
          return { result: 1, answer };
        }),
      ]);

      const traceId = await crew.ask("chat.ask");

      await crew.ended(traceId).toBe("done");
      expect(gathered).toMatchObject([{ branches: [{ result: "short" }, { result: "inner" }] }]);
    });
  });

  describe("a wait", () => {
    const asks = (expiresMs: number, onExpiry = false) =>
      handler("chat.ask", async () => ({
        result: "asked",
        wait: {
          kind: "approval",
          asked: { text: "May I?" },
          expiresMs,
          next: { to: "chat.go", payload: { plan: 1 } },
          ...(onExpiry ? { onExpiry: { to: "chat.late", payload: {} } } : {}),
        },
      }));
    const goes = handler("chat.go", async ({ payload }) => ({ result: payload, answer }));
    async function theOne(): Promise<string> {
      await expect
        .poll(() => openWaits(world.sql, { kind: "approval", tenant: "local", limit: 9 }), soon)
        .toHaveLength(1);
      return (await openWaits(world.sql, { kind: "approval", tenant: "local", limit: 9 }))[0]?.id ?? "";
    }

    test("holds no lease, and goes on with the answer, once", async () => {
      await crew.start([asks(60_000), goes]);
      const traceId = await crew.ask("chat.ask");
      const id = await theOne();
      expect(await world.sql`select from bus_held`).toHaveLength(0);
      expect(await waitOf(world.sql, id, "somebody-else")).toBe(null);

      const answers = [1, 2].map((n) => answerWait(world.sql, { id, answer: { yes: n }, by: `boss-${n}` }));

      expect((await Promise.all(answers)).filter(Boolean)).toHaveLength(1);
      await crew.ended(traceId).toBe("done");
      const [end] = await world.sql<{ result: unknown }[]>`
        select e.result from bus_ends e join bus_messages m on m.id = e.message_id where m.role = 'go'`;
      expect(end?.result).toMatchObject({ plan: 1, answered: { answer: { yes: expect.any(Number) } } });
    });

    test("that nobody answers fails its trace as expired, and cannot be answered any more", async () => {
      await crew.start([asks(60_000), goes]);
      const traceId = await crew.ask("chat.ask");
      const id = await theOne();

      await world.moveClock(61);

      await crew.ended(traceId).toBe("failed");
      expect((await traceOf(world.sql, traceId, null))?.failure).toMatchObject({ code: "expired" });
      expect(await answerWait(world.sql, { id, answer: {}, by: "late" })).toBe(false);
    });

    test("is over with the time to live of its trace", async () => {
      await crew.start([asks(60_000), goes]);
      const traceId = await crew.ask("chat.ask", {}, { ttlMs: 30_000 });
      const id = await theOne();

      await world.moveClock(31);

      await crew.ended(traceId).toBe("failed");
      expect(await answerWait(world.sql, { id, answer: {}, by: "late" })).toBe(false);
    });

    test("tells that it was asked, by which message, and that nobody answered", async () => {
      await crew.start([asks(60_000), goes]);
      const traceId = await crew.ask("chat.ask");
      const id = await theOne();
      await world.moveClock(61);
      await crew.ended(traceId).toBe("failed");

      const told = (await eventsOf(world.sql, traceId)).filter(({ kind }) => kind.startsWith("approval_"));
      expect(told).toMatchObject([
        { kind: "approval_asked", service: "chat", role: "ask", details: { wait_id: id, asked: { text: "May I?" } } },
        { kind: "approval_expired", details: { wait_id: id } },
      ]);
    });

    test("that nobody answers goes where its handler said", async () => {
      await crew.start([asks(60_000, true), goes, handler("chat.late", async () => ({ result: 1, answer }))]);
      const traceId = await crew.ask("chat.ask");
      await theOne();

      await world.moveClock(61);

      await crew.ended(traceId).toBe("done");
    });
  });

  test("a dead message goes where its handler says, and the trace lives on", async () => {
    await crew.start([
      handler(
        "executor.execute",
        async () => {
          throw new Failure("model_refused", "no");
        },
        { onDead: (_, { code }) => ({ to: "chat.sorry", payload: { code } }) },
      ),
      handler("chat.sorry", async ({ payload }) => ({ result: payload, answer })),
    ]);

    const traceId = await crew.ask("executor.execute");

    await crew.ended(traceId).toBe("done");
    expect(await envelopesOf(world.sql, traceId)).toMatchObject([
      { status: "dead" },
      { role: "sorry", status: "done" },
    ]);
    expect(await world.sql`select from bus_dead`).toHaveLength(1);
  });

  describe("calling a trace off", () => {
    test("ends what waits, reaches the handler that runs, and lets nothing follow", async () => {
      let reason: unknown;
      await crew.start([
        handler("chat.ask", async () => ({
          result: 1,
          next: [
            { to: "rag.query", payload: {} },
            { to: "rag.index", payload: {}, delayMs: 60_000 },
          ],
        })),
        handler(
          "rag.query",
          (_, { signal }) =>
            new Promise((_resolve, reject) => {
              signal.addEventListener("abort", () => {
                reason = signal.reason;
                reject(signal.reason);
              });
            }),
        ),
        handler("rag.index", async () => ({ result: 1, answer })),
      ]);
      const traceId = await crew.ask("chat.ask");
      await expect.poll(() => crew.kinds(traceId), soon).toContain("rag_acked");

      expect(await cancelTrace(world.sql, { traceId, tenant: "local", by: "me" })).toBe(true);
      expect(await cancelTrace(world.sql, { traceId, tenant: "local", by: "me" })).toBe(false);

      await expect
        .poll(async () => (await envelopesOf(world.sql, traceId)).map(({ status }) => status), soon)
        .toEqual(["done", "cancelled", "cancelled"]);
      expect(reason).toMatchObject({ code: "cancelled" });
      expect((await traceOf(world.sql, traceId, null))?.failure).toMatchObject({ code: "cancelled" });
      expect((await crew.kinds(traceId)).filter((kind) => kind === "rag_cancelled")).toHaveLength(2);
    });

    test("lets nothing follow from a handler that did not listen", async () => {
      const { open, opened } = gate();
      await crew.start([
        handler("chat.ask", async () => {
          await opened;
          return { result: 1, next: [{ to: "rag.query", payload: {} }] };
        }),
        handler("rag.query", async () => ({ result: 1, answer })),
      ]);
      const traceId = await crew.ask("chat.ask");
      await expect.poll(() => crew.kinds(traceId), soon).toContain("gateway_acked");

      await cancelTrace(world.sql, { traceId, tenant: null, by: "me" });
      open();

      await expect.poll(() => world.sql`select from bus_held`, soon).toHaveLength(0);
      expect(await envelopesOf(world.sql, traceId)).toHaveLength(1);
    });

    test("is not for strangers", async () => {
      await crew.start([handler("chat.ask", () => new Promise(() => {}))]);
      const traceId = await crew.ask("chat.ask");

      await expect(cancelTrace(world.sql, { traceId, tenant: "other", by: "them" })).rejects.toMatchObject({
        code: "not_found",
      });
    });
  });

  describe("a time to live", () => {
    test("ends a message that waits too long", async () => {
      await crew.start([handler("rag.query", async () => ({ result: 1, answer }))]);
      await world.sql`insert into bus_roles (service, role, shards) values ('late', 'one', 1)`;
      await world.sql`insert into bus_lanes (service, role, shard) values ('late', 'one', 0)`;
      const waiting = await crew.ask("late.one", {}, { ttlMs: 30_000 });
      const delayed = await crew.ask("rag.query", {}, { ttlMs: 30_000, delayMs: 60_000 });

      await world.moveClock(31);

      for (const traceId of [waiting, delayed]) {
        await crew.ended(traceId).toBe("failed");
        expect(await envelopesOf(world.sql, traceId)).toMatchObject([{ status: "expired", attempts: 0 }]);
      }
      expect(await crew.kinds(waiting)).toEqual(["late_accepted", "late_expired"]);
      expect(await world.sql`select from bus_queue`).toHaveLength(0);
    });

    test("ends an attempt that takes longer, and is inherited by what follows", async () => {
      await crew.start([
        handler("chat.ask", async () => ({ result: 1, next: [{ to: "rag.query", payload: {} }] })),
        handler("rag.query", () => new Promise(() => {})),
      ]);

      const traceId = await crew.ask("chat.ask", {}, { ttlMs: 300 });

      await crew.ended(traceId).toBe("failed");
      await expect.poll(() => crew.kinds(traceId), soon).toContain("rag_expired");
    });
  });

  test("two follow-ups to one role need keys of their own", async () => {
    await crew.start([
      handler("chat.ask", async () => ({
        result: 1,
        next: [
          { to: "rag.query", payload: 1 },
          { to: "rag.query", payload: 2 },
        ],
      })),
    ]);

    const traceId = await crew.ask("chat.ask");

    await expect.poll(() => crew.kinds(traceId), soon).toContain("gateway_retry");
    expect(await envelopesOf(world.sql, traceId)).toHaveLength(1);
  });
});
