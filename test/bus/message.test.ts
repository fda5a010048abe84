import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { cancelTrace } from "../../src/bus/cancel.ts";
import { Failure } from "../../src/contracts/failure.ts";
import { EventView } from "../../src/contracts/http.ts";
import { type Assignment, BusMessage } from "../../src/contracts/message.ts";
import { eventsOf } from "../../src/store/events.ts";
import { answer, handler, openCrew } from "../support/crew.ts";
import { openWorld, type World } from "../support/world.ts";

const assignment: Assignment = {
  agent_id: "fixer",
  agent_version: "2",
  canary: true,
  model: "small",
  budget: { max_cost_usd: 0.5, max_tokens: 1000 },
  ttl_ms: 60_000,
};
const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

describe("a message on the bus", () => {
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

  /** The message of a role as it is stored, in its wire form. */
  async function stored(role: string) {
    const [row] = await world.sql`
      select m.id::text, m.service, m.role, m.shard, m.tenant, m.intent, m.trace_id, m.root_id::text, m.parent_id::text,
             m.join_id::text, m.idempotency_key, m.priority, m.order_key, m.expires_at, m.traceparent, m.assignment, m.payload,
             m.created_at, coalesce(e.attempts, 0) as attempts
      from bus_messages m left join bus_ends e on e.message_id = m.id
      where m.role = ${role}`;
    return BusMessage.parse(JSON.parse(JSON.stringify(row)));
  }

  test("has the published shape, whatever is said of it, and what follows inherits what it does not say", async () => {
    await crew.start([
      handler("orchestrator.decide", async () => ({
        result: 1,
        next: [{ to: "executor.execute", payload: { n: 2 }, assignment, ttlMs: 30_000, key: "other" }],
      })),
      handler("executor.execute", async ({ payload }) => ({ result: 1, next: [{ to: "buildtest.run", payload }] })),
      handler("buildtest.run", async () => ({ result: 1, answer })),
    ]);
    const traceId = await crew.ask(
      "orchestrator.decide",
      { n: 1 },
      { priority: 7, ttlMs: 60_000, traceparent, idempotencyKey: "first" },
    );
    await crew.ended(traceId).toBe("done");

    const [root, child, last] = [await stored("decide"), await stored("execute"), await stored("run")];
    expect(root).toMatchObject({
      parent_id: null,
      root_id: root.id,
      priority: 7,
      traceparent,
      idempotency_key: "first",
    });
    expect(root.expires_at).not.toBe(null);
    expect(child).toMatchObject({ parent_id: root.id, root_id: root.id, trace_id: traceId, priority: 7, assignment });
    expect(child).toMatchObject({ idempotency_key: "other", attempts: 1, tenant: "local", intent: "chat" });
    expect(last).toMatchObject({ parent_id: child.id, assignment, expires_at: child.expires_at, payload: { n: 2 } });
  });

  test("tells every transition with its tenant, intent, attempts, agent and trace, in the published shape", async () => {
    const roles: Record<string, () => Promise<never>> = {
      "executor.execute": async () => {
        throw new Failure("agent_failed", "try again");
      },
      "codegen.generate": async () => {
        throw new Failure("expired", "too late");
      },
      "buildtest.run": () => new Promise(() => {}),
    };
    await crew.start(
      [
        handler("chat.gather", async () => ({ result: 1, answer })),
        handler("orchestrator.decide", async () => ({
          result: 1,
          next: Object.keys(roles).map((to) => ({ to, payload: {}, assignment })),
          join: { to: "chat.gather", payload: {} }, // so that no dead branch ends the trace
        })),
        ...Object.entries(roles).map(([role, handle]) =>
          handler(role, async (_, { status }) => {
            await status("at it");
            return handle();
          }),
        ),
      ],
      { policy: () => ({ default: { max_attempts: 2, base_ms: 1, factor: 1, cap_ms: 1, jitter: 0 }, keys: {} }) },
    );
    const traceId = await crew.ask("orchestrator.decide");
    await expect.poll(() => crew.kinds(traceId)).toContain("execute_dead");
    await expect.poll(() => crew.kinds(traceId)).toContain("codegen_expired");
    await expect.poll(() => crew.kinds(traceId)).toContain("buildtest_status");
    await cancelTrace(world.sql, { traceId, tenant: null, by: "me" });
    await expect.poll(() => crew.kinds(traceId)).toContain("buildtest_cancelled");

    const events = await eventsOf(world.sql, traceId);
    const told = (service: string) =>
      events.filter((event) => event.service === service).map(({ kind, attempts }) => `${kind} ${attempts}`);
    const begins = (name: string, n = 1) => [`${name}_acked ${n}`, `${name}_status ${n}`];
    expect(told("orchestrator")).toEqual(["orchestrate_accepted 0", "orchestrate_acked 1", "orchestrate_done 1"]);
    expect(told("executor")).toEqual([
      "execute_accepted 0",
      ...begins("execute"),
      "execute_retry 1",
      ...begins("execute", 2),
      "execute_failed 2",
      "execute_dead 2",
    ]);
    expect(told("codegen")).toEqual(["codegen_accepted 0", ...begins("codegen"), "codegen_expired 1"]);
    expect(told("buildtest")).toEqual(["buildtest_accepted 0", ...begins("buildtest"), "buildtest_cancelled 1"]);
    for (const event of events.filter(({ message_id }) => message_id !== null)) {
      expect(z.strictObject(EventView.shape).parse(JSON.parse(JSON.stringify(event)))).toMatchObject({
        tenant: "local",
        intent: "chat",
        trace_id: traceId,
        agent_id: event.service === "orchestrator" ? null : "fixer",
        agent_version: event.service === "orchestrator" ? null : "2",
        canary: event.service !== "orchestrator",
      });
    }
  });
});

describe("a clock that jumps", () => {
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

  test.each([-3600, 3600])("by %d s loses nothing, does nothing twice and keeps the order of events", async (jumpS) => {
    let begun = 0;
    let open = () => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const policy = () => ({ default: { max_attempts: 9, base_ms: 0, factor: 1, cap_ms: 0, jitter: 0 }, keys: {} });
    await crew.start(
      [
        handler("chat.ask", async () => {
          begun += 1;
          await opened;
          return { result: 1, next: [{ to: "rag.query", payload: {} }] };
        }),
        handler("rag.query", async () => ({ result: 1, answer })),
      ],
      { policy, leaseMs: 3000 },
    );
    const held = await crew.ask("chat.ask");
    const later = await crew.ask("rag.query", {}, { delayMs: 60_000 });
    await expect.poll(() => begun).toBe(1);

    await world.moveClock(jumpS);
    const after = await crew.ask("rag.query");
    await crew.ended(after).toBe("done");
    open();
    await crew.ended(held).toBe("done");
    await world.moveClock(61 - Math.min(0, jumpS));

    await crew.ended(later).toBe("done");
    for (const traceId of [held, later, after]) {
      const kinds = await crew.kinds(traceId);
      expect(kinds.filter((kind) => kind === "rag_done")).toHaveLength(1);
      expect(kinds.at(-1)).toBe("rag_done");
    }
    expect((await crew.kinds(held)).filter((kind) => kind === "gateway_done")).toHaveLength(1);
    expect(await world.sql`select from bus_queue`).toHaveLength(0);
    expect(await world.sql`select from bus_held`).toHaveLength(0);
  });
});
