import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { setCircuitByHand } from "../../src/bus/circuits.ts";
import { Failure } from "../../src/contracts/failure.ts";
import type { CircuitPolicy } from "../../src/contracts/policy.ts";
import { openCircuits } from "../../src/store/circuits.ts";
import { answer, gate, handler, openCrew } from "../support/crew.ts";
import { openWorld, type World } from "../support/world.ts";

const circuits = (): CircuitPolicy => ({
  default: { window_ms: 60_000, min_calls: 3, failure_rate: 0.5, cooldown_ms: 30_000, half_open_probes: 2 },
  keys: {},
});
const once = () => ({ default: { max_attempts: 1, base_ms: 0, factor: 1, cap_ms: 0, jitter: 0 }, keys: {} });

describe("circuits", () => {
  let world: World;
  let crew: ReturnType<typeof openCrew>;
  let well = false;
  let code: "agent_failed" | "nothing_to_test" = "agent_failed";
  beforeEach(async () => {
    world = await openWorld();
    crew = openCrew(world);
    well = false;
    code = "agent_failed";
  });
  afterEach(async () => {
    await crew.stop();
    await world.close();
  });

  const works = handler("executor.execute", async () => {
    if (!well) throw new Failure(code, "no");
    return { result: 1, answer };
  });
  const start = () => crew.start([works], { circuits, policy: once });
  const states = async () => (await openCircuits(world.sql)).map(({ key, state }) => `${key} ${state}`);
  const [lane] = ["executor.execute.2"];
  const askLane = () => crew.ask("executor.execute", {}, { shard: 2 });
  async function breakIt(): Promise<void> {
    for (let n = 0; n < 3; n += 1) await crew.ended(await askLane()).toBe("failed");
    await expect.poll(states, { timeout: 5000 }).toEqual([`${lane} open`]);
  }
  /** Every worker has heard from the database twice: what it knows of circuits is not older than this. */
  async function everybodyLooked(): Promise<void> {
    const beats = async () => {
      const rows = await world.sql<{ at: Date }[]>`select heartbeat_at as at from bus_workers order by id`;
      return rows.map(({ at }) => Number(at));
    };
    const before = await beats();
    await expect
      .poll(async () => (await beats()).every((at, n) => at >= (before[n] ?? 0) + 1500), { timeout: 10_000 })
      .toBe(true);
  }
  const told = async () => {
    const rows = await world.sql<{ kind: string }[]>`select kind from bus_facts where kind like 'circuit%' order by id`;
    return rows.map(({ kind }) => kind);
  };

  test("a lane whose calls fail is left alone, its messages wait, and other lanes go on", async () => {
    await start();
    await breakIt();
    well = true;

    const waiting = await askLane();
    await crew.ended(await crew.ask("executor.execute", {}, { shard: 1 })).toBe("done");

    expect(await crew.kinds(waiting)).toEqual(["execute_accepted"]);
    expect(await told()).toEqual(["circuit_opened"]);
  });

  test("it is tried after its cooldown, with as many messages as the rule says, by all workers together", async () => {
    await start();
    await breakIt();
    await start();
    well = true;
    const waiting = await Promise.all(Array.from({ length: 5 }, askLane));

    await world.moveClock(31);

    for (const traceId of waiting) await crew.ended(traceId).toBe("done");
    expect(await told()).toEqual(["circuit_opened", "circuit_half_open", "circuit_closed"]);
  });

  test("two workers together begin no more probes than the rule says", async () => {
    const { open, opened } = gate();
    const begun: string[] = [];
    const probed = handler("executor.execute", async ({ idempotencyKey, shard }) => {
      if (!well) throw new Failure(code, "no");
      if (shard === 2) begun.push(idempotencyKey);
      if (shard === 2) await opened;
      return { result: 1, answer };
    });
    for (let n = 0; n < 2; n += 1) await crew.start([probed], { circuits, policy: once });
    await breakIt();
    await everybodyLooked();
    well = true;
    const waiting = await Promise.all(Array.from({ length: 8 }, askLane));

    await world.moveClock(31);
    await expect.poll(() => begun.length, { timeout: 8000 }).toBe(2);
    await everybodyLooked();
    await crew.ended(await crew.ask("executor.execute", {}, { shard: 1 })).toBe("done");

    expect(begun).toHaveLength(2);
    expect(await states()).toEqual([`${lane} half_open`]);
    open();
    for (const traceId of waiting) await crew.ended(traceId).toBe("done");
  });

  test("a probe that fails opens it again", async () => {
    await start();
    await breakIt();
    await askLane();

    await world.moveClock(31);

    await expect.poll(told, { timeout: 8000 }).toEqual(["circuit_opened", "circuit_half_open", "circuit_opened"]);
  });

  test("what a caller caused never opens one", async () => {
    await start();
    code = "nothing_to_test";
    for (let n = 0; n < 6; n += 1) await crew.ended(await askLane()).toBe("failed");
    const [calls] = await world.sql`select coalesce(sum(failed), 0)::int as failed from bus_calls`;

    expect(calls).toEqual({ failed: 0 });
    expect(await states()).toEqual([]);
  });

  test("one opened by hand stays open until it is closed by hand, and both are told with who did it", async () => {
    await setCircuitByHand(world.sql, { key: lane ?? "", state: "open", by: "ann", reason: "the vendor is down" });
    await start();
    well = true;
    const waiting = await askLane();
    await world.moveClock(3600);
    await crew.ended(await crew.ask("executor.execute", {}, { shard: 1 })).toBe("done");
    expect(await crew.kinds(waiting)).toEqual(["execute_accepted"]);

    await setCircuitByHand(world.sql, { key: lane ?? "", state: "closed", by: "ann", reason: "it is back" });

    await crew.ended(waiting).toBe("done");
    const [opened, closed] = await world.sql`select details from bus_facts where kind like 'circuit%' order by id`;
    expect(opened).toEqual({ details: { key: lane, by: "ann", because: "ann: the vendor is down" } });
    expect(closed).toMatchObject({ details: { by: "ann" } });
    await expect(
      setCircuitByHand(world.sql, { key: "no.such.9", state: "open", by: "ann", reason: "x" }),
    ).rejects.toMatchObject({ code: "not_found" });
  });
});
