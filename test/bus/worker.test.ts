import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import type { AnyHandler, Handler, Outcome, Tools } from "../../src/bus/handler.ts";
import { publish } from "../../src/bus/publish.ts";
import { startWorker, type Worker, type WorkerOptions } from "../../src/bus/worker.ts";
import { textArtifact } from "../../src/contracts/artifact.ts";
import { Failure } from "../../src/contracts/failure.ts";
import type { Answer } from "../../src/contracts/message.ts";
import { connect } from "../../src/store/database.ts";
import { eventsOf } from "../../src/store/events.ts";
import { envelopesOf, traceOf } from "../../src/store/traces.ts";
import { listen, type Wake } from "../../src/store/wake.ts";
import { declare } from "../support/bus.ts";
import { openWorld, type World } from "../support/world.ts";

const answer: Answer = { text: "well", verdict: null, citations: [], provider: null, replay: false };

describe("a worker", () => {
  let world: World;
  let workers: Worker[] = [];
  beforeEach(async () => {
    world = await openWorld();
  });
  afterEach(async () => {
    await Promise.all(workers.map((worker) => worker.stop(0)));
    workers = [];
    await world.close();
  });

  const handler = (
    role: string,
    handle: (...args: Parameters<Handler<unknown, unknown>["handle"]>) => Promise<Outcome<unknown>>,
  ) => ({
    role,
    accepts: z.unknown(),
    answers: z.unknown(),
    handle,
  });
  async function start(handlers: AnyHandler[], rest: Partial<WorkerOptions> = {}): Promise<Worker> {
    const { now, models, sandbox } = world.tools;
    const worker = await startWorker({
      ...world.settling,
      name: `worker-${workers.length}`,
      handlers,
      concurrency: 4,
      leaseMs: 60_000,
      pollMs: 1000,
      attemptMs: 60_000,
      log: world.log,
      tools: { now, models, sandbox },
      ...rest,
    });
    workers.push(worker);
    return worker;
  }
  async function ask(to: string, payload: unknown = {}): Promise<string> {
    const traceId = randomUUID();
    const key = { idempotencyKey: traceId, traceparent: null };
    await publish(world.sql, { to, tenant: "local", intent: "chat", payload, traceId, ...key });
    return traceId;
  }
  const kinds = async (traceId: string) => (await eventsOf(world.sql, traceId)).map(({ kind }) => kind);
  const ended = (traceId: string) =>
    expect.poll(async () => (await traceOf(world.sql, traceId, null))?.status, { timeout: 20_000, interval: 20 });

  test("carries a request from role to role to its answer, and tells every step", async () => {
    await start([
      handler("chat.ask", async () => ({ result: 1, next: [{ to: "rag.query", payload: { q: 1 } }] })),
      handler("rag.query", async ({ payload }) => ({ result: payload, answer })),
    ]);

    const traceId = await ask("chat.ask");

    await ended(traceId).toBe("done");
    expect((await traceOf(world.sql, traceId, null))?.answer).toEqual(answer);
    expect(await kinds(traceId)).toEqual([
      "gateway_accepted",
      "gateway_acked",
      "gateway_done",
      "rag_accepted",
      "rag_acked",
      "rag_done",
    ]);
  });

  test.each([
    ["in a round", "goes on with what follows itself", 4, []],
    ["with a file", "goes on with what follows itself", 4, [textArtifact("rag", "a.txt", "a")]],
    ["in a round", "without room says where it waits", 1, []],
    ["with a file", "without room says where it waits", 1, [textArtifact("rag", "a.txt", "a")]],
  ])("settles %s, %s, and has others look for what is not its own", async (_, __, concurrency, files) => {
    const heard: Wake[] = [];
    const unlisten = await listen(world.sql, (hint) => hint && heard.push(hint));
    await declare(world.sql, "orchestrator.decide");
    const kept =
      (to: string) =>
      async (_message: unknown, { keep }: Pick<Tools, "keep">) => {
        for (const file of files) await keep(file);
        return { result: 1, next: [{ to, payload: {} }] };
      };
    await start([handler("chat.ask", kept("rag.query")), handler("rag.query", kept("orchestrator.decide"))], {
      concurrency,
    });
    const traceId = await ask("chat.ask");
    const told = () => heard.filter(({ by, traces }) => by === "worker-0" && traces.includes(traceId));
    await expect.poll(() => told().length, { timeout: 20_000 }).toBe(2);
    await unlisten();

    const [lane] = await world.sql<{ id: number }[]>`
      select lane as id from bus_messages where trace_id = ${traceId} and role = 'query'`;
    const waits = { roles: ["rag.query"], flows: [{ lane: lane?.id, priority: 5, tenant: "local" }], look: false };
    expect(told()).toMatchObject([
      concurrency === 1 ? waits : { roles: [], flows: [], look: false },
      { roles: ["orchestrator.decide"], flows: [], look: true },
    ]);
    expect((await kinds(traceId)).slice(0, 6)).toEqual([
      ...["gateway_accepted", "gateway_acked", "gateway_done", "rag_accepted", "rag_acked", "rag_done"],
    ]);
  });

  test("tries again after a failure that may pass, and dies when the attempts are spent", async () => {
    await start([
      handler("codegen.generate", async () => {
        throw new Failure("model_unreachable", "gone");
      }),
    ]);
    const traceId = await ask("codegen.generate");

    await expect.poll(() => kinds(traceId)).toContain("codegen_retry");
    await world.moveClock(60);
    await expect.poll(async () => (await kinds(traceId)).filter((kind) => kind === "codegen_retry").length).toBe(2);
    await world.moveClock(60);

    await ended(traceId).toBe("failed");
    expect((await kinds(traceId)).slice(-2)).toEqual(["codegen_failed", "codegen_dead"]);
    expect(await envelopesOf(world.sql, traceId)).toMatchObject([{ status: "dead", attempts: 3 }]);
    expect((await traceOf(world.sql, traceId, null))?.failure).toMatchObject({ code: "model_unreachable" });
  });

  test("keeps the files of an attempt with its settlement, also when it fails", async () => {
    await start([
      handler("buildtest.run", async (_, { keep }) => {
        await keep(textArtifact("sandbox", "error.json", "{}"));
        throw new Failure("nothing_to_test", "no tests");
      }),
    ]);
    const traceId = await ask("buildtest.run");

    await ended(traceId).toBe("failed");
    const path = `${traceId}/sandbox/error.json`;
    expect(await readFile(join(world.dir, path), "utf8")).toBe("{}");
    expect(JSON.parse(await readFile(join(world.dir, `${path}.meta.json`), "utf8"))).toMatchObject({
      path,
      trace_id: traceId,
      attempts: 1,
      bytes: 2,
    });
    expect(await world.sql`select path from artifacts`).toEqual([{ path }]);
  });

  test("of a file that an attempt keeps twice, the last one stays", async () => {
    await start([
      handler("chat.ask", async (_, { keep }) => {
        await keep(textArtifact("rag", "said.txt", "first"));
        await keep(textArtifact("rag", "said.txt", "second"));
        return { result: 1, answer };
      }),
    ]);
    const traceId = await ask("chat.ask");

    await ended(traceId).toBe("done");
    expect(await readFile(join(world.dir, `${traceId}/rag/said.txt`), "utf8")).toBe("second");
    expect(await world.sql`select bytes::int from artifacts`).toEqual([{ bytes: 6 }]);
  });

  test("refuses a payload that does not fit, without calling the handler", async () => {
    let called = false;
    const strict: Handler<{ n: number }, unknown> = {
      ...handler("chat.ask", async () => ({ result: 1, answer })),
      accepts: z.object({ n: z.number() }),
      async handle() {
        called = true;
        return { result: 1, answer };
      },
    };
    await start([strict]);

    const traceId = await ask("chat.ask", { n: "one" });

    await ended(traceId).toBe("failed");
    expect((await traceOf(world.sql, traceId, null))?.failure).toMatchObject({ code: "invalid_message" });
    expect(called).toBe(false);
  });

  test("commits nothing of an attempt whose lease went to somebody else", async () => {
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    let calls = 0;
    const slow = handler("chat.ask", async (_, { keep }) => {
      calls += 1;
      const mine = calls;
      await keep(textArtifact("rag", "who.txt", `attempt ${mine}`));
      if (mine === 1) await gate;
      return { result: mine, answer: { ...answer, text: `attempt ${mine}` } };
    });
    await start([slow], { leaseMs: 600_000 });
    const traceId = await ask("chat.ask");
    await expect.poll(() => calls).toBe(1);

    await world.moveClock(601); // as if the first worker had been frozen for longer than its lease
    await start([slow], { leaseMs: 600_000 });
    await world.moveClock(5); // the delay of the retry
    await ended(traceId).toBe("done");
    open();
    await expect.poll(() => world.log.lines.some(({ text }) => text === "attempt not settled")).toBe(true);

    expect((await traceOf(world.sql, traceId, null))?.answer?.text).toBe("attempt 2");
    expect(await readFile(join(world.dir, `${traceId}/rag/who.txt`), "utf8")).toBe("attempt 2");
    expect((await kinds(traceId)).filter((kind) => kind === "gateway_done")).toHaveLength(1);
  });

  test("ends an attempt that takes too long, even if its handler does not listen", async () => {
    await start([handler("chat.ask", () => new Promise(() => {}))], { attemptMs: 50 });

    const traceId = await ask("chat.ask");

    await expect.poll(() => kinds(traceId)).toContain("gateway_retry");
    const [retry] = (await eventsOf(world.sql, traceId)).filter(({ kind }) => kind === "gateway_retry");
    expect(retry?.details).toMatchObject({ failure: { code: "attempt_timeout" } });
  });

  test("gives back what it holds when it is stopped, and the next worker takes it", async () => {
    const first = await start([handler("chat.ask", () => new Promise(() => {}))]);
    const traceId = await ask("chat.ask");
    await expect.poll(() => kinds(traceId)).toContain("gateway_acked");

    await first.stop(0);
    workers = [];
    await start([handler("chat.ask", async () => ({ result: 1, answer }))]);

    await ended(traceId).toBe("done");
  });

  test("one bad follow-up is an end with a reason, not a half-written one", async () => {
    await start([
      handler("chat.ask", async () => ({ result: 1, next: [{ to: "rag.query", payload: "x".repeat(300_000) }] })),
    ]);

    const traceId = await ask("chat.ask");

    await ended(traceId).toBe("failed");
    expect((await traceOf(world.sql, traceId, null))?.failure).toMatchObject({ code: "payload_too_large" });
    expect(await envelopesOf(world.sql, traceId)).toHaveLength(1);
  });

  test("keeps what strangers print, NUL and half surrogates too", async () => {
    const text = "a\0b\ud800c";
    await start([
      handler("chat.ask", async (_, { status }) => {
        await status(text);
        return { result: { text }, answer: { ...answer, text } };
      }),
    ]);

    const traceId = await ask("chat.ask");

    await ended(traceId).toBe("done");
    expect((await traceOf(world.sql, traceId, null))?.answer?.text).toBe("a\ufffdb\ufffdc");
  });

  test("works without wake-ups, by looking", async () => {
    const deaf = new Proxy(world.sql, {
      get: (sql, key) => (key === "listen" ? async () => ({ unlisten: async () => {} }) : Reflect.get(sql, key)),
    });
    await start(
      [
        handler("chat.ask", async () => ({ result: 1, next: [{ to: "rag.query", payload: {} }] })),
        handler("rag.query", async () => ({ result: 1, answer })),
      ],
      { sql: deaf, pollMs: 50 },
    );

    await ended(await ask("chat.ask")).toBe("done");
  });

  test("survives its database connection", async () => {
    await start([handler("chat.ask", async () => ({ result: 1, answer }))], { pollMs: 50 });
    const traceId = randomUUID();
    const other = connect(world.url, { max: 1 });
    await other`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`;
    await publish(other, {
      to: "chat.ask",
      tenant: "local",
      intent: "chat",
      payload: {},
      traceId,
      idempotencyKey: "after",
      traceparent: null,
    });

    await expect.poll(async () => (await traceOf(other, traceId, null))?.status, { timeout: 20_000 }).toBe("done");
    await other.end();
  });
});
