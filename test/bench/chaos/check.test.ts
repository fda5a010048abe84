import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { check } from "../../../bench/chaos/check.ts";
import type { Asked } from "../../../bench/chaos/load.ts";
import { publish } from "../../../src/bus/publish.ts";
import { settleDone, settleFailed } from "../../../src/bus/settle.ts";
import { Failure } from "../../../src/contracts/failure.ts";
import type { RetryPolicy } from "../../../src/contracts/policy.ts";
import { declareRoles } from "../../../src/store/lanes.ts";
import { claim, declare } from "../../support/bus.ts";
import { openWorld, type World } from "../../support/world.ts";

const policy: RetryPolicy = {
  default: { max_attempts: 3, base_ms: 0, factor: 1, cap_ms: 0, jitter: 0 },
  keys: { "chaos.poison": { max_attempts: 1, base_ms: 0, factor: 1, cap_ms: 0, jitter: 0 } },
};
const answer = { text: "well", verdict: null, citations: [], provider: null, replay: false };

describe("the checker", () => {
  let world: World;
  let asked: Asked[];
  beforeEach(async () => {
    world = await openWorld();
    asked = [];
  });
  afterEach(() => world.close());

  /** A healthy run: a chain of two messages, one that was tried again, and one that died. */
  async function healthy(): Promise<void> {
    await declare(world.sql, "chaos.first", "chaos.second", "chaos.flaky", "chaos.poison");
    for (const to of ["chaos.first", "chaos.flaky", "chaos.poison"]) await ask(to);
    for (let round = 0; round < 4; round += 1) {
      const roles = ["chaos.first", "chaos.second", "chaos.flaky", "chaos.poison"];
      const messages = await claim(world.sql, { roles, worker: "w", limit: 10, leaseMs: 60_000 });
      for (const message of messages) {
        const fails = message.role === "poison" || (message.role === "flaky" && message.attempts === 1);
        const rest = { staged: [], records: [] };
        const settling = { ...world.settling, policy: () => policy };
        if (fails) await settleFailed(settling, message, { thrown: new Failure("agent_failed", "no"), ...rest });
        else if (message.role === "first") {
          const next = [{ to: "chaos.second", payload: {} }];
          await settleDone(settling, message, { outcome: { result: { sent: 1 }, next }, ...rest });
        } else await settleDone(settling, message, { outcome: { result: { sent: 0 }, answer }, ...rest });
      }
    }
  }
  async function ask(to: string): Promise<void> {
    const key = `key-${asked.length}`;
    const request = { to, tenant: "local", intent: "chat", payload: {}, traceparent: null } as const;
    const { traceId } = await publish(world.sql, { ...request, traceId: randomUUID(), idempotencyKey: key });
    asked.push({ tenant: "local", key, traceIds: [traceId] });
  }
  const broken = async () => {
    const findings = await check(world.sql, { asked, policy });
    return findings.broken.map(({ promise, message, why }) => `${promise} ${message}: ${why}`);
  };
  const idOf = async (role: string) => {
    const [message] = await world.sql<{ id: string }[]>`select id from bus_messages where role = ${role}`;
    return message?.id ?? "";
  };

  test("finds nothing in a healthy run, and counts how it ended", async () => {
    await healthy();

    expect(await check(world.sql, { asked, policy })).toEqual({
      messages: 4,
      done: 3,
      dead: 1,
      retried: 1,
      broken: [],
    });
  });

  test("finds a message without an end that is nowhere else", async () => {
    await healthy();
    const id = await idOf("second");
    await world.sql`delete from bus_attempts where message_id = ${id}`;
    await world.sql`delete from bus_leases where ${id}::bigint = any (message_ids)`;

    const { traceId } = await world.sql<{ traceId: string }[]>`
      select trace_id as "traceId" from bus_messages where id = ${id}`.then(([row]) => row ?? { traceId: "none" });
    expect(await broken()).toEqual([
      `open key-0: its trace ${traceId} is open`,
      `lost ${id}: chaos.second neither waits, nor is held, nor has an end`,
    ]);
  });

  test("finds a message that was answered and is not there, and lets one be whose answer was lost", async () => {
    await healthy();
    asked.push({ tenant: "local", key: "gone", traceIds: [randomUUID()] });
    asked.push({ tenant: "local", key: "unanswered", traceIds: [] });

    expect(await broken()).toEqual(["lost gone: it was answered, and is not there"]);
  });

  test("finds a request that was answered with two traces", async () => {
    await healthy();
    const other = randomUUID();
    asked[0]?.traceIds.push(other);

    expect(await broken()).toEqual([`doubled key-0: it was answered with another trace: ${other}`]);
  });

  test("finds a message that was done twice", async () => {
    await healthy();
    const id = await idOf("second");
    await world.sql`
      insert into bus_facts (kind, service, role, trace_id, message_id, attempts)
      select kind, service, role, trace_id, message_id, attempts
      from bus_events
      where message_id = ${id} and kind = 'chaos_done'`;

    expect(await broken()).toEqual([
      `doubled ${id}: chaos.second was done 2 times`,
      `illegal ${id}: chaos.second: done 1 came while it was done`,
    ]);
  });

  test("finds a message that has ended and waits again", async () => {
    await healthy();
    const id = await idOf("second");
    await world.sql`
      insert into bus_ready (lane, priority, tenant, message_ids, attempts)
      select lane, priority, tenant, array[id], 1 from bus_messages where id = ${id}`;

    expect(await broken()).toEqual([`doubled ${id}: chaos.second is at once queued and done`]);
  });

  test("finds a follow-up that is missing, and one too many", async () => {
    await healthy();
    const first = await idOf("first");
    await world.sql`update bus_attempts set result = '{"sent": 2}' where message_id = ${first}`;
    expect(await broken()).toEqual([`lost ${first}: chaos.first sent 2 messages, and there are 1`]);

    await world.sql`update bus_attempts set result = '{"sent": 0}' where message_id = ${first}`;
    expect(await broken()).toEqual([`doubled ${first}: chaos.first sent 0 messages, and there are 1`]);
  });

  test("finds events in an order that cannot be", async () => {
    await healthy();
    const id = await idOf("second");
    await world.sql`update bus_attempts set token = event_id, event_id = bus_token_id(token) where message_id = ${id}`;

    expect(await broken()).toEqual([
      `illegal ${id}: chaos.second: done 1 came while it was queued`,
      `illegal ${id}: chaos.second: done told attempt 1; it was attempt 0`,
      `illegal ${id}: chaos.second: acked 1 came while it was done`,
      `illegal ${id}: chaos.second is done; its events say claimed`,
    ]);
  });

  test("finds an attempt that settled in the stead of another", async () => {
    await healthy();
    const id = await idOf("flaky");
    await world.sql.unsafe("alter table bus_attempts drop constraint bus_attempts_pkey");
    await world.sql`
      insert into bus_attempts (message_id, attempts, lane, status, token, worker, claimed_at, result)
      select message_id, 1, lane, 'done', token, 'late', claimed_at, result
      from bus_attempts where message_id = ${id} and status = 'done'`;

    expect(await broken()).toContain(`doubled ${id}: chaos.flaky was done 2 times`);
    expect(await broken()).toContainEqual(expect.stringContaining(`illegal ${id}: chaos.flaky: `));
  });

  test("finds more attempts than the policy allows", async () => {
    await healthy();
    const id = await idOf("flaky");
    const strict = { ...policy, keys: { "chaos.flaky": { ...policy.default, max_attempts: 1 } } };

    const findings = await check(world.sql, { asked, policy: strict });

    expect(findings.broken).toEqual([
      { promise: "over_policy", message: id, why: "chaos.flaky was tried 2 times of 1" },
    ]);
  });

  test("finds two messages of a key of an ordered role that were under way at one time", async () => {
    await declareRoles(world.sql, [{ role: "chaos.line", shards: 4, ordered: true }]);
    for (let n = 0; n < 3; n += 1) await ask("chaos.line");
    for (let n = 0; n < 3; n += 1) {
      const [message] = await claim(world.sql, { roles: ["chaos.line"], worker: "w", limit: 9, leaseMs: 60_000 });
      if (!message) throw new Error("nothing was taken");
      const outcome = { result: { sent: 0 }, answer };
      await settleDone(world.settling, message, { outcome, staged: [], records: [] });
    }
    expect(await broken()).toEqual([]);
    const [first, second] = await world.sql<{ id: string }[]>`
      select message_id as id from bus_attempts order by event_id`;

    await world.sql`update bus_attempts set event_id = nextval('bus_ids') where message_id = ${first?.id}`;

    expect(await broken()).toEqual([
      `overlapping ${second?.id}: chaos.line began before ${first?.id} of its key had ended`,
    ]);
  });

  test("finds what is still waiting, what is still held, and a trace that is open", async () => {
    await healthy();
    await ask("chaos.first");
    await ask("chaos.flaky");
    await claim(world.sql, { roles: ["chaos.flaky"], worker: "w", limit: 1, leaseMs: 60_000 });

    const found = await broken();

    expect(found.map((text) => text.replace(/ \S+: /, " …: ").replace(/trace \S+/, "trace …"))).toEqual([
      "open …: its trace … is open",
      "open …: its trace … is open",
      "open …: chaos.first is still queued",
      "open …: chaos.flaky is still claimed",
    ]);
  });
});
