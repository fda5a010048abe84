import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { walk } from "../../bench/chaos/history.ts";
import { cancelTrace } from "../../src/bus/cancel.ts";
import { publishAll } from "../../src/bus/publish.ts";
import { giveBack, settleDone, settleFailed, settleLapsed } from "../../src/bus/settle.ts";
import { upkeep } from "../../src/bus/upkeep.ts";
import { Failure } from "../../src/contracts/failure.ts";
import type { RetryPolicy } from "../../src/contracts/policy.ts";
import { backlogs } from "../../src/store/backlog.ts";
import type { Taken } from "../../src/store/claims.ts";
import { eventsOf } from "../../src/store/events.ts";
import { step as settleRound } from "../../src/store/step.ts";
import { envelopesOf, traceOf } from "../../src/store/traces.ts";
import { claim, declare } from "../support/bus.ts";
import { answer, handler } from "../support/crew.ts";
import { openWorld, type World } from "../support/world.ts";

/** A message in memory, as the state machine of the bus has it. */
type Model = {
  traceId: string;
  state: "ready" | "delayed" | "held" | "done" | "dead" | "expired" | "cancelled";
  calledOff: boolean; // its trace was, while it was held
  attempts: number;
  dueS: number; // of a delayed one
  leaseEndsS: number; // of a held one
  ttlEndsS: number | null;
  token: Taken | null; // of the attempt under way
  old: Taken[]; // of attempts that are over
};

const leaseS = 10;
const maxAttempts = 2;
const policy: RetryPolicy = {
  default: { max_attempts: maxAttempts, base_ms: 1000, factor: 2, cap_ms: 60_000, jitter: 0 },
  keys: {},
};

/** What may be done to the bus. `pick` chooses among the messages it may be done to. */
type Step =
  | { kind: "publish"; ttlS: number | null; count: number } // several at once share a row of the queue
  | { kind: "claim"; pick: number; limit: number }
  | {
      kind: "done" | "doneTogether" | "lateTogether" | "fail" | "refuse" | "giveBack" | "late" | "cancel" | "again";
      pick: number;
    }
  | { kind: "wait"; seconds: number };

/** Weighted so that messages get as far as their last attempt. */
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("publish" as const),
      ttlS: fc.option(fc.integer({ min: 1, max: 30 }), { freq: 3 }),
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("claim" as const),
      pick: fc.nat(20),
      limit: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        ...([
          "done",
          "doneTogether",
          "lateTogether",
          "fail",
          "fail",
          "refuse",
          "giveBack",
          "late",
          "cancel",
          "again",
        ] as const),
      ),
      pick: fc.nat(20),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("wait" as const), seconds: fc.integer({ min: 1, max: 12 }) }),
  },
);

const put: Step = { kind: "publish", ttlS: null, count: 1 };
const take: Step = { kind: "claim", pick: 0, limit: 1 };
const on = (kind: "done" | "fail" | "giveBack" | "late" | "cancel"): Step => ({ kind, pick: 0 });
const rest = (seconds: number): Step => ({ kind: "wait", seconds });

/** Walks that chance seldom takes to their end: each begins every attempt that the policy allows. */
const walks: Step[][] = [
  [put, take, on("fail"), rest(2), take, on("fail"), rest(9), take],
  [put, take, on("giveBack"), take, on("giveBack"), rest(9), take],
  [put, take, rest(12), rest(2), take, rest(12), rest(9), take],
  [put, take, rest(12), rest(2), take, on("late"), on("done")],
  [put, take, on("cancel"), on("fail"), rest(9), take],
  [put, take, on("cancel"), rest(12), rest(9), take],
];

describe("the bus against a model of itself", () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
    await declare(world.sql, "model.run");
  });
  afterAll(() => world.close());

  test("every message is where the model has it, whatever is done in whatever order", async () => {
    const handlers = [handler("model.run", async () => ({ result: 1, answer }))];
    const settling = { ...world.settling, policy: () => policy, handlers };
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { minLength: 5, maxLength: 30 }), async (steps) => {
        await world.sql.unsafe(`
          truncate bus_messages, bus_attempts, bus_packs, bus_trace_ends, bus_facts, bus_keys, bus_ready, bus_delayed, bus_leases,
                   bus_deadlines, bus_cancels, bus_dead, bus_deltas, bus_backlog, bus_tallies`);
        const messages: Model[] = [];
        let nowS = 0;
        for (const step of steps) {
          const before = new Map(messages.map((one) => [one.traceId, standing(one)]));
          nowS += await carryOut(step, { messages, nowS, settling });
          await compare(messages.filter((one) => before.get(one.traceId) !== standing(one)));
          expect(await total()).toEqual(counted(messages));
        }
        await compare(messages); // what no step should have touched, too
        const due = messages.filter(({ state, dueS }) => state === "ready" || (state === "delayed" && dueS <= nowS));
        const left = await claim(world.sql, { roles: ["model.run"], limit: 1000, leaseMs: leaseS * 1000 });
        expect(left.map(({ traceId }) => traceId).sort()).toEqual(due.map(({ traceId }) => traceId).sort());
      }),
      { numRuns: 25, examples: walks.map((walk) => [walk]) },
    );
  }, 300_000); // slow where many others work

  type Bus = { messages: Model[]; nowS: number; settling: World["settling"] };

  /** Does the step to the bus and to the model. Answers how much time it took. */
  async function carryOut(step: Step, bus: Bus): Promise<number> {
    const { messages, nowS, settling } = bus;
    if (step.kind === "publish") {
      const traceIds = Array.from({ length: step.count }, () => randomUUID());
      const ttlMs = step.ttlS === null ? {} : { ttlMs: step.ttlS * 1000 };
      await put(traceIds, ttlMs);
      const ttlEndsS = step.ttlS === null ? null : nowS + step.ttlS;
      const times = { dueS: 0, leaseEndsS: 0, ttlEndsS };
      const fresh = { state: "ready" as const, calledOff: false, attempts: 0, ...times, token: null };
      messages.push(...traceIds.map((traceId) => ({ traceId, ...fresh, old: [] })));
      return 0;
    }
    if (step.kind === "wait") {
      await world.moveClock(step.seconds);
      await upkeep(settling, { circuits: null, breathe: async () => {} });
      pass(messages, nowS + step.seconds);
      return step.seconds;
    }
    const may: Record<typeof step.kind, (one: Model) => boolean> = {
      claim: () => true,
      doneTogether: ({ token }) => token !== null && wholeClaim(messages, token) !== null,
      lateTogether: ({ token, old }) => token === null && old.length > 0,
      done: ({ state }) => state === "held",
      fail: ({ state }) => state === "held",
      refuse: ({ state }) => state === "held",
      giveBack: ({ state }) => state === "held",
      late: ({ state, old }) => old.length > 0 && (state === "held" || !messages.some(isHeldAgain)),
      cancel: ({ state, calledOff }) => state === "ready" || state === "delayed" || (state === "held" && !calledOff),
      again: () => true,
    };
    const candidates = messages.filter(may[step.kind]);
    const one = candidates[step.pick % Math.max(1, candidates.length)];
    if (!one) return 0;
    await doTo(one, step, bus);
    return 0;
  }

  /** Where a late worker could do harm: somebody else has the message now. */
  const isHeldAgain = ({ state, old }: Model) => state === "held" && old.length > 0;

  /** The messages of a claim, when all of them are still held. Null: some are not. */
  function wholeClaim(messages: Model[], { token }: Taken): Model[] | null {
    const held = messages.filter((one) => one.token?.token === token);
    const begun = messages.filter((one) => one.old.some((old) => old.token === token));
    return begun.length === 0 ? held : null;
  }

  function settleTogether(pack: Taken[]) {
    const inOrder = pack.sort((a, b) => Number(a.id) - Number(b.id));
    const done = inOrder.map((message) => ({ message, result: { n: message.id }, answer, next: [], records: [] }));
    const nothing = { done: [], freed: [], asked: [], limit: 0, own: true, lanes: new Map(), leaseMs: 0 };
    return settleRound(world.sql, { ...nothing, worker: "w1", packs: [done] });
  }

  async function doTo(one: Model, step: Exclude<Step, { kind: "publish" | "wait" }>, bus: Bus): Promise<void> {
    const { kind } = step;
    const { messages, nowS, settling } = bus;
    const held = one.token;
    const rest = { staged: [], records: [] };
    if (kind === "claim") {
      const { limit } = step;
      for (const taken of await claim(world.sql, { roles: ["model.run"], limit, leaseMs: leaseS * 1000 })) {
        const found = messages.find(({ traceId }) => traceId === taken.traceId);
        expect(found?.state === "ready" || (found?.state === "delayed" && found.dueS <= nowS)).toBe(true);
        if (!found) return;
        Object.assign(found, { state: "held", attempts: found.attempts + 1, leaseEndsS: nowS + leaseS, token: taken });
        expect(taken.attempts).toBe(found.attempts);
      }
    } else if (kind === "again") {
      await put([one.traceId], {});
    } else if (kind === "cancel") {
      await cancelTrace(world.sql, { traceId: one.traceId, tenant: null, by: "model" });
      if (held) one.calledOff = true;
      else one.state = "cancelled";
    } else if (kind === "doneTogether" && held) {
      const whole = wholeClaim(messages, held) ?? [];
      expect(await settleTogether(whole.flatMap(({ token }) => token ?? []))).toMatchObject({ lost: [] });
      for (const each of whole)
        Object.assign(each, { state: "done", old: [...each.old, ...(each.token ? [each.token] : [])], token: null });
    } else if (kind === "lateTogether") {
      const [old] = one.old;
      const others = messages.flatMap((each) => each.old.filter(({ token }) => token === old?.token));
      // While its lease is there, a claim that was settled piece by piece is left alone by the worker, who keeps count.
      if (!old || (await world.sql`select from bus_leases where token = ${old.token}`).length > 0) return;
      const { lost } = await settleTogether(others);
      expect(lost.sort()).toEqual(others.map(({ id }) => id).sort());
    } else if (kind === "late") {
      const [old] = one.old;
      if (!old) return;
      const late = settleDone(settling, old, { outcome: { result: {}, answer }, ...rest });
      await expect(late).rejects.toMatchObject({ code: "lease_lost" });
    } else if (held) {
      if (kind === "done") {
        await settleDone(settling, held, { outcome: { result: {}, answer }, ...rest });
        one.state = "done";
      } else if (kind === "giveBack") {
        await giveBack(settling, held);
        if (one.calledOff) one.state = "cancelled";
        else one.state = one.attempts >= maxAttempts ? "dead" : "ready";
      } else {
        const thrown = new Failure(kind === "fail" ? "agent_failed" : "model_refused", "no");
        await settleFailed(settling, held, { thrown, ...rest });
        again(one, nowS, kind === "fail");
      }
      one.old.push(held);
      one.token = null;
    }
  }

  /** What a failed attempt leads to, by the policy: a second, and dead after the last one. */
  function again(one: Model, nowS: number, mayPass: boolean): void {
    if (one.calledOff) one.state = "cancelled";
    else if (!mayPass || one.attempts >= maxAttempts) one.state = "dead";
    else Object.assign(one, { state: "delayed", dueS: nowS + 2 ** (one.attempts - 1) });
  }

  /** What time alone does. */
  function pass(messages: Model[], nowS: number): void {
    for (const one of messages) {
      if (one.state === "held" && one.leaseEndsS <= nowS) {
        if (one.token) one.old.push(one.token);
        one.token = null;
        again(one, nowS, true);
      }
      const waits = one.state === "ready" || one.state === "delayed";
      if (waits && one.ttlEndsS !== null && one.ttlEndsS <= nowS) one.state = "expired";
    }
  }

  async function put(traceIds: string[], rest: { ttlMs?: number }): Promise<void> {
    const request = { to: "model.run", tenant: "local", intent: "chat", payload: {}, traceparent: null } as const;
    await publishAll(
      world.sql,
      traceIds.map((traceId) => ({ ...request, traceId, idempotencyKey: traceId, ...rest })),
    );
  }

  const standing = ({ state, attempts, calledOff }: Model) => `${state} ${attempts} ${calledOff}`;

  const counted = (messages: Model[]) => ({
    queued: messages.filter(({ state }) => state === "ready" || state === "delayed").length,
    claimed: messages.filter(({ state }) => state === "held").length,
  });

  async function total(): Promise<{ queued: number; claimed: number }> {
    return (await backlogs(world.sql)).reduce(
      (sum, lane) => ({ queued: sum.queued + lane.queued, claimed: sum.claimed + lane.claimed }),
      { queued: 0, claimed: 0 },
    );
  }

  async function compare(messages: Model[]): Promise<void> {
    for (const one of messages) {
      const waits = one.state === "ready" || one.state === "delayed";
      const status = waits ? "queued" : one.state === "held" ? "claimed" : one.state;
      expect(await envelopesOf(world.sql, one.traceId)).toMatchObject([{ status, attempts: one.attempts }]);
      const ended = !waits && one.state !== "held";
      const trace = await traceOf(world.sql, one.traceId, null);
      const well = one.state === "done" && !one.calledOff;
      expect(trace?.status).toBe(well ? "done" : ended || one.calledOff ? "failed" : "open");
      const events = (await eventsOf(world.sql, one.traceId)).filter(({ message_id }) => message_id !== null);
      const steps = events.map(({ kind, attempts }) => ({
        what: kind.replace(/^.*_/, ""),
        attempts: attempts ?? 0,
      }));
      expect(walk(steps)).toMatchObject({
        attempts: one.attempts,
        faults: [],
      });
    }
  }

  test("lapsed leases are nobody's: settling them twice at one time settles them once", async () => {
    await put([randomUUID()], {});
    await claim(world.sql, { roles: ["model.run"], limit: 100, leaseMs: 1000 });
    await world.moveClock(2);
    const settling = { ...world.settling, handlers: [handler("model.run", async () => ({ result: 1, answer }))] };

    const counts = await Promise.all([settleLapsed(settling), settleLapsed(settling), settleLapsed(settling)]);

    expect(counts.filter((count) => count > 0)).toHaveLength(1);
  });
});
