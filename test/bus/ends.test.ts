import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Next } from "../../src/bus/handler.ts";
import { settleLapsed } from "../../src/bus/settle.ts";
import { answerWait } from "../../src/bus/waits.ts";
import { Failure } from "../../src/contracts/failure.ts";
import { eventsOf } from "../../src/store/events.ts";
import { declareRoles } from "../../src/store/lanes.ts";
import { envelopesOf, traceOf } from "../../src/store/traces.ts";
import { openWaits } from "../../src/store/waits.ts";
import { claim } from "../support/bus.ts";
import { answer, handler, openCrew } from "../support/crew.ts";
import { openWorld, type World } from "../support/world.ts";

describe("what follows when a message has ended", () => {
  let world: World;
  let crew: ReturnType<typeof openCrew>;
  beforeEach(async () => {
    world = await openWorld();
    crew = openCrew(world);
  });
  afterEach(async () => {
    await crew.stop();
    await world.close();
  });

  const refuses = async () => {
    throw new Failure("model_refused", "no");
  };
  const fan = (keys: string[], join: Next = { to: "chat.gather", payload: {} }) =>
    handler("chat.ask", async () => ({
      result: 1,
      next: keys.map((key) => ({ to: "rag.query", payload: { key }, key })),
      join,
    }));
  const failureOf = async (traceId: string) => (await traceOf(world.sql, traceId, null))?.failure;

  describe("a fallback that is no good", () => {
    test.each<[string, () => Next]>([
      [
        "throws",
        () => {
          throw new Error("a bug");
        },
      ],
      ["goes to nobody", () => ({ to: "no.body", payload: {} })],
      ["is too large", () => ({ to: "chat.sorry", payload: "x".repeat(300_000) })],
    ])("and %s: the message is dead, its trace has ended, and it is told", async (_, onDead) => {
      await crew.start([handler("executor.execute", refuses, { onDead })]);

      const traceId = await crew.ask("executor.execute");

      await crew.ended(traceId).toBe("failed");
      expect(await failureOf(traceId)).toMatchObject({ code: "model_refused" });
      expect(await envelopesOf(world.sql, traceId)).toMatchObject([{ status: "dead" }]);
      expect(await crew.kinds(traceId)).toContain("fallback_refused");
    });

    test("keeps nobody else from ending whose worker was lost", async () => {
      const roles = ["executor.execute", "rag.query"];
      const throws = () => {
        throw new Error("a bug");
      };
      const handlers = [
        handler("executor.execute", refuses, { onDead: throws }),
        handler("rag.query", async () => ({ result: 1, answer })),
      ];
      const policy = () => ({ default: { max_attempts: 1, base_ms: 0, factor: 1, cap_ms: 0, jitter: 0 }, keys: {} });
      const [bad, good] = [await crew.ask("executor.execute"), await crew.ask("rag.query")];
      expect(await claim(world.sql, { roles, limit: 9, leaseMs: 1000 })).toHaveLength(2);
      await world.moveClock(2);

      expect(await settleLapsed({ ...world.settling, policy, handlers })).toBe(2);

      for (const traceId of [bad, good]) expect(await failureOf(traceId)).toMatchObject({ code: "worker_lost" });
    });
  });

  describe("a join", () => {
    test("whose last branch waits for somebody in vain goes out, and hears that it expired", async () => {
      const gathered: unknown[] = [];
      await crew.start([
        fan(["a", "b"]),
        handler("rag.query", async ({ payload, idempotencyKey }) =>
          idempotencyKey === "a"
            ? { result: payload }
            : {
                result: "asked",
                wait: { kind: "approval", asked: {}, expiresMs: 60_000, next: { to: "rag.go", payload: {} } },
              },
        ),
        handler("rag.go", async () => ({ result: "went" })),
        handler("chat.gather", async ({ payload }) => {
          gathered.push(payload);
          return { result: 1, answer };
        }),
      ]);
      const traceId = await crew.ask("chat.ask");
      await expect.poll(async () => (await crew.kinds(traceId)).filter((kind) => kind === "rag_done")).toHaveLength(2);

      await world.moveClock(61);

      await crew.ended(traceId).toBe("done");
      expect(gathered).toMatchObject([
        {
          branches: [
            { key: "a", status: "done", result: { key: "a" }, failure: null },
            { key: "b", status: "expired", failure: { code: "expired" } },
          ],
        },
      ]);
    });

    test("whose branches say more than a message may ends its trace with the reason, and leaves nothing behind", async () => {
      await crew.start([
        fan(["a", "b", "c"]),
        handler("rag.query", async () => ({ result: "x".repeat(100_000) })),
        handler("chat.gather", async () => ({ result: 1, answer })),
      ]);

      const traceId = await crew.ask("chat.ask");

      await crew.ended(traceId).toBe("failed");
      expect(await failureOf(traceId)).toMatchObject({ code: "payload_too_large" });
      expect(await envelopesOf(world.sql, traceId)).toMatchObject([
        { status: "done" },
        { status: "done", attempts: 1 },
        { status: "done", attempts: 1 },
        { status: "done", attempts: 1 },
      ]);
      expect(await world.sql`select from bus_joins`).toHaveLength(0);
    });
  });

  describe("a role that has fewer shards meanwhile", () => {
    const shrink = (...roles: string[]) =>
      declareRoles(
        world.sql,
        roles.map((role) => ({ role, shards: 1, ordered: false })),
      );

    test("takes what a worker sends that has not heard of it, at the first attempt", async () => {
      await crew.start([
        handler("chat.ask", async () => ({ result: 1, next: [{ to: "rag.query", payload: {}, shardKey: "c" }] })),
        handler("rag.query", async () => ({ result: 1, answer })),
      ]);
      await crew.ended(await crew.ask("chat.ask")).toBe("done"); // it has seen the roles
      const [before] = await world.sql`select shard from bus_messages where role = 'query'`;
      expect(before).not.toEqual({ shard: 0 });
      await shrink("rag.query");

      const traceId = await crew.ask("chat.ask");

      await crew.ended(traceId).toBe("done");
      expect(await envelopesOf(world.sql, traceId)).toMatchObject([
        { status: "done", attempts: 1 },
        { role: "query", shard: 0, status: "done" },
      ]);
    });

    test("takes what was prepared before: the answer of a wait, and a join", async () => {
      const keyOnOther = "c";
      await crew.start([
        fan(["a"], { to: "chat.gather", payload: {}, shardKey: keyOnOther }),
        handler("rag.query", async () => ({
          result: "asked",
          wait: {
            kind: "approval",
            asked: {},
            expiresMs: 60_000,
            next: { to: "rag.go", payload: {}, shardKey: keyOnOther },
          },
        })),
        handler("rag.go", async () => ({ result: "went" })),
        handler("chat.gather", async () => ({ result: 1, answer })),
      ]);
      const traceId = await crew.ask("chat.ask");
      await expect.poll(() => openWaits(world.sql, { kind: "approval", tenant: null, limit: 9 })).toHaveLength(1);
      const [wait] = await openWaits(world.sql, { kind: "approval", tenant: null, limit: 9 });
      await shrink("rag.go", "chat.gather");

      expect(await answerWait(world.sql, { id: wait?.id ?? "", answer: { yes: true }, by: "boss" })).toBe(true);

      await crew.ended(traceId).toBe("done");
      const shards = await world.sql`select role, shard from bus_messages where role in ('go', 'gather') order by role`;
      expect(shards).toEqual([
        { role: "gather", shard: 0 },
        { role: "go", shard: 0 },
      ]);
    });
  });

  describe("a worker that is stopped in the last attempt", () => {
    const once = () => ({ default: { max_attempts: 2, base_ms: 0, factor: 1, cap_ms: 0, jitter: 0 }, keys: {} });
    const never = handler("chat.ask", () => new Promise(() => {}));

    test("gives nothing back: its message is dead, and was tried as often as its policy says", async () => {
      const traceId = await crew.ask("chat.ask", {}, { idempotencyKey: randomUUID() });
      for (const attempt of [1, 2]) {
        const worker = await crew.start([never], { policy: once });
        await expect
          .poll(async () => (await crew.kinds(traceId)).filter((kind) => kind === "gateway_acked"))
          .toHaveLength(attempt);
        await worker.stop(0);
      }

      expect(await traceOf(world.sql, traceId, null)).toMatchObject({
        status: "failed",
        failure: { code: "attempts_spent" },
      });
      expect(await crew.kinds(traceId)).toEqual([
        "gateway_accepted",
        "gateway_acked",
        "gateway_retry",
        "gateway_acked",
        "gateway_failed",
        "gateway_dead",
      ]);
      expect(await envelopesOf(world.sql, traceId)).toMatchObject([{ status: "dead", attempts: 2 }]);
      const [dead] = (await eventsOf(world.sql, traceId)).slice(-1);
      expect(dead?.details).toEqual({ why: "the worker stopped in attempt 2 of 2" });
    });
  });
});
