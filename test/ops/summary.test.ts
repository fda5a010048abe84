import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { cancelTrace } from "../../src/bus/cancel.ts";
import type { Next } from "../../src/bus/handler.ts";
import { publish } from "../../src/bus/publish.ts";
import { settleDone, settleFailed } from "../../src/bus/settle.ts";
import { Failure } from "../../src/contracts/failure.ts";
import type { Answer, Citation } from "../../src/contracts/message.ts";
import { Summary } from "../../src/contracts/metrics.ts";
import { summarise } from "../../src/ops/summary.ts";
import { stage } from "../../src/store/artifacts.ts";
import { tellAlone } from "../../src/store/events.ts";
import type { Claimed } from "../../src/store/messages.ts";
import { beat } from "../../src/store/workers.ts";
import { claim } from "../support/bus.ts";
import { openWorld, type World } from "../support/world.ts";

const citation: Citation = { document_id: "d", title: "t", section: "s", span: [0, 1], quote: "q" };

describe("the summary", () => {
  let world: World;
  beforeEach(async () => {
    world = await openWorld();
  });
  afterEach(() => world.close());

  const look = async () => Summary.parse(await summarise(world.sql, { now: world.now, windowS: 86_400 }));
  const put = (to: string) =>
    publish(world.sql, {
      to,
      tenant: "local",
      intent: "rag.answer",
      payload: {},
      traceId: randomUUID(),
      idempotencyKey: randomUUID(),
      traceparent: null,
    });

  async function take(role: string): Promise<Claimed> {
    const [message] = await claim(world.sql, { roles: [role], worker: "w", limit: 1, leaseMs: 60_000 });
    if (!message) throw new Error(`no message of ${role} is due`);
    return message;
  }

  const answered = (citations: Citation[]): Answer => ({
    text: "so",
    verdict: null,
    citations,
    provider: null,
    replay: false,
  });
  const done = (message: Claimed, { next, citations = [] }: { next?: Next[]; citations?: Citation[] } = {}) =>
    settleDone(world.settling, message, {
      outcome: next ? { result: {}, next } : { result: {}, answer: answered(citations) },
      staged: [],
      records: [],
    });
  const fail = (message: Claimed, code: "nothing_to_test" | "worker_lost") =>
    settleFailed(world.settling, message, { thrown: new Failure(code, "no"), staged: [], records: [] });

  test("of an empty house holds zeros where it counted and null where it could not measure", async () => {
    expect(await look()).toEqual({
      at: "2030-01-01T00:00:00.000Z",
      window_s: 86_400,
      totals: {
        messages: { accepted: 0, queued: 0, claimed: 0, done: 0, retried: 0, dead: 0, expired: 0, cancelled: 0 },
        traces: { open: 0, done: 0, failed: 0 },
        dead_letters: 0,
        artifacts: { files: 0, bytes: 0 },
      },
      circuits: [],
      waits: [],
      orchestrator: { decisions: 0, canary: 0, by_agent: [] },
      rag: { queries: 0, success_rate: null, latency_ms: null, empty_answer_rate: null },
      sandbox: { errors: [], refusing: 0 },
      backlog: [],
      workers: [],
    });
  });

  test("counts runs that were ended or not carried out, by tenant and reason, and workers that refuse", async () => {
    const told = (tenant: string, reason: string) =>
      tellAlone(world.sql, { kind: "sandbox_error", tenant, details: { reason } });
    await told("acme", "memory");
    await told("local", "time.wall");
    await told("acme", "memory");
    await told("acme", "sandbox_unavailable");
    await beat(world.sql, { id: "sandbox-a", kind: "sandbox", roles: [], facts: { class: null, why: "no bwrap" } });
    await beat(world.sql, { id: "sandbox-b", kind: "sandbox", roles: [], facts: { class: "strict" } });

    expect((await look()).sandbox).toEqual({
      errors: [
        { tenant: "acme", reason: "memory", count: 2 },
        { tenant: "acme", reason: "sandbox_unavailable", count: 1 },
        { tenant: "local", reason: "time.wall", count: 1 },
      ],
      refusing: 1,
    });
  });

  test("says how many wait for a person, and since when", async () => {
    await put("chat.ask");
    const wait = { kind: "approval", asked: {}, expiresMs: 600_000, next: { to: "chat.ask", payload: {} } };
    const message = await take("chat.ask");
    await settleDone(world.settling, message, { outcome: { result: {}, wait }, staged: [], records: [] });
    await world.moveClock(60);

    const { waits } = await look();
    expect(waits).toMatchObject([{ kind: "approval", waiting: 1 }]);
    expect(waits[0]?.oldest_s).toBeGreaterThanOrEqual(60);
    await world.moveClock(-60);
    await cancelTrace(world.sql, { traceId: message.traceId, tenant: null, by: "me" });
    expect((await look()).waits).toEqual([]);
  });

  test("counts messages, traces and dead letters", async () => {
    for (let n = 0; n < 5; n += 1) await put("chat.ask");
    await done(await take("chat.ask"));
    await fail(await take("chat.ask"), "nothing_to_test");
    await fail(await take("chat.ask"), "worker_lost");
    await take("chat.ask");

    const { totals, backlog } = await look();

    expect(totals.messages).toEqual({
      accepted: 5,
      queued: 2,
      claimed: 1,
      done: 1,
      retried: 1,
      dead: 1,
      expired: 0,
      cancelled: 0,
    });
    expect(totals.traces).toEqual({ open: 3, done: 1, failed: 1 });
    expect(totals.dead_letters).toBe(1);
    expect(backlog).toEqual([
      {
        key: expect.stringMatching(/^chat\.ask\.\d$/),
        service: "chat",
        role: "ask",
        shard: expect.any(Number),
        queued: 2,
        due: 1,
        claimed: 1,
        oldest_due_s: expect.any(Number),
      },
    ]);
  });

  test("measures how rag queries end, how long they take and how many answers cite nothing", async () => {
    for (let n = 0; n < 4; n += 1) await put("rag.query");
    await done(await take("rag.query"), { citations: [citation] });
    await done(await take("rag.query"), { citations: [citation] });
    await done(await take("rag.query"));
    await fail(await take("rag.query"), "nothing_to_test");

    const { rag } = await look();

    expect(rag).toMatchObject({ queries: 4, success_rate: 0.75, empty_answer_rate: expect.closeTo(1 / 3) });
    expect(rag.latency_ms?.p50).toBeGreaterThan(0);
    expect(rag.latency_ms?.p99).toBeGreaterThanOrEqual(rag.latency_ms?.p50 ?? Number.POSITIVE_INFINITY);
  });

  test("counts decisions by agent, and the files that were kept", async () => {
    for (const agent_id of ["steady", "steady", "bold"]) {
      await put("orchestrator.decide");
      const message = await take("orchestrator.decide");
      const artifact = {
        kind: "rag" as const,
        name: "x.txt",
        schema: "text",
        contentType: "text/plain",
        content: "12345",
      };
      const draft = await stage(world.dir, artifact, { message, token: message.token, at: new Date() });
      await settleDone(world.settling, message, {
        outcome: { result: {}, answer: answered([]) },
        staged: [draft],
        records: [
          {
            kind: "orchestrate_decision",
            data: { chosen: { agent_id, agent_version: "1", canary: agent_id === "bold" } },
          },
        ],
      });
    }

    const { orchestrator, totals } = await look();

    expect(orchestrator).toEqual({
      decisions: 3,
      canary: 1,
      by_agent: [
        { agent_id: "steady", agent_version: "1", decisions: 2 },
        { agent_id: "bold", agent_version: "1", decisions: 1 },
      ],
    });
    expect(totals.artifacts).toEqual({ files: 3, bytes: 15 });
  });

  test("forgets what is older than its window, and workers that fell silent", async () => {
    await put("chat.ask");
    await done(await take("chat.ask"));
    await beat(world.sql, { id: "w1", kind: "worker", roles: ["chat.ask"], facts: { running: 0 } });
    expect((await look()).workers).toMatchObject([{ id: "w1", kind: "worker", roles: ["chat.ask"] }]);

    await world.sql`update bus_attempts set ended_at = ended_at - interval '25 hours'`;
    await world.moveClock(25 * 3600);

    const { totals, workers } = await look();
    expect(totals.messages).toMatchObject({ accepted: 0, done: 0 });
    expect(totals.traces.done).toBe(0);
    expect(workers).toEqual([]);
  });
});
