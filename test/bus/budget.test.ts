import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { putAside } from "../../src/bus/budget.ts";
import { publishAll } from "../../src/bus/publish.ts";
import { type Left, settleDone, settleFailed, settleLapsed } from "../../src/bus/settle.ts";
import type { BudgetPolicy, Cap, Figure } from "../../src/contracts/budget.ts";
import { Failure } from "../../src/contracts/failure.ts";
import { outcomeOf } from "../../src/rules/outcome.ts";
import type { Taken } from "../../src/store/claims.ts";
import { claim, declare } from "../support/bus.ts";
import { answer, handler, openCrew } from "../support/crew.ts";
import { openWorld, type World } from "../support/world.ts";

const role = "codegen.generate";
const open: Cap = { cost_usd: null, tokens: null, seconds: null };
const estimate = { cost_usd: 0.1, tokens: 10, seconds: 1 };
const unsaid: Figure = { cost_usd: null, tokens: null, seconds: null };

const capped = (caps: Partial<BudgetPolicy["default"]>): BudgetPolicy => ({
  estimate,
  default: { day: null, month: null, trace: null, ...caps },
  keys: {},
});

describe("budgets", () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
    await declare(world.sql, role);
  });
  beforeEach(async () => {
    await world.sql.unsafe("truncate budget_accounts, budget_reservations");
  });
  afterAll(() => world.close());

  async function taken(n: number, leaseMs = 60_000): Promise<Taken[]> {
    await publishAll(
      world.sql,
      Array.from({ length: n }, () => {
        const intent = "code.generate" as const;
        const [traceId, idempotencyKey] = [randomUUID(), randomUUID()];
        return { to: role, tenant: "local", intent, traceId, idempotencyKey, traceparent: null, payload: {} };
      }),
    );
    return claim(world.sql, { roles: [role], limit: n, leaseMs });
  }
  const aside = (message: Taken, policy: BudgetPolicy, most = unsaid) => putAside(world.sql, message, { policy, most });
  const left = (figure: Figure | null): Left => ({
    staged: [],
    records: [],
    aside: { made: Promise.resolve(), figure },
  });
  const day = async () => {
    const [row] = await world.sql<{ spent: number; reserved: number; open: number }[]>`
      select spent_tokens::float8 as spent, reserved_tokens::float8 as reserved,
             (select count(*)::int from budget_reservations) as open
      from budget_accounts where scope = 'day'`;
    return row;
  };

  test("workers that race never put aside more than the cap together, and all that fits is put aside", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 2, maxLength: 7 }),
        fc.integer({ min: 0, max: 100 }),
        fc.constantFrom("day" as const, "month" as const),
        async (wanted, cap, scope) => {
          await world.sql.unsafe("truncate budget_accounts, budget_reservations");
          const policy = capped({ [scope]: { ...open, tokens: cap } });
          const messages = await taken(wanted.length);
          const made = await Promise.allSettled(
            messages.map((message, n) => aside(message, policy, { ...unsaid, tokens: wanted[n] ?? 0 })),
          );
          const fitted = wanted.filter((_, n) => made[n]?.status === "fulfilled").reduce((a, b) => a + b, 0);
          expect(fitted).toBeLessThanOrEqual(cap);
          const [row] = await world.sql<{ n: number }[]>`
            select coalesce(sum(reserved_tokens), 0)::float8 as n from budget_accounts where scope = ${scope}`;
          expect(row?.n).toBe(fitted);
          for (const [n, one] of made.entries()) {
            if (one.status === "fulfilled") continue;
            expect(one.reason).toMatchObject({ code: "budget_exhausted" });
            expect(fitted + (wanted[n] ?? 0)).toBeGreaterThan(cap);
          }
          for (const message of messages) {
            await settleFailed(world.settling, message, { thrown: new Failure("cancelled", "over"), ...left(null) });
          }
        },
      ),
      { numRuns: 15 },
    );
  });

  test("book what a call did cost when its attempt ends well", async () => {
    const [message] = await taken(1);
    if (!message) throw new Error("nothing was taken");
    await aside(message, capped({}));
    expect(await day()).toEqual({ spent: 0, reserved: 10, open: 1 });

    const figure = { cost_usd: 0.01, tokens: 3, seconds: 0.5 };
    await settleDone(world.settling, message, { outcome: { result: {}, answer }, ...left(figure) });

    expect(await day()).toEqual({ spent: 3, reserved: 0, open: 0 });
  });

  test("book it when the attempt fails all the same, and what was put aside for what nobody knows", async () => {
    const [message] = await taken(1);
    if (!message) throw new Error("nothing was taken");
    await aside(message, capped({}));
    const thrown = new Failure("model_refused", "no");
    await settleFailed(world.settling, message, { thrown, ...left({ ...unsaid, seconds: 2 }) });
    expect(await day()).toEqual({ spent: 10, reserved: 0, open: 0 });
    const rows = await world.sql`
      select spent_usd::float8 as usd, spent_seconds::float8 as s from budget_accounts where scope = 'trace'`;
    expect(rows).toEqual([{ usd: 0.1, s: 2 }]);
  });

  test("give back what a dead worker had put aside, when its lease is settled", async () => {
    const [message] = await taken(1, 1);
    if (!message) throw new Error("nothing was taken");
    await aside(message, capped({}));
    await world.moveClock(5);
    await settleLapsed({ ...world.settling, handlers: [handler(role, async () => ({ result: 1, answer }))] });
    expect(await day()).toEqual({ spent: 0, reserved: 0, open: 0 });
    await expect(aside(message, capped({}))).rejects.toMatchObject({ code: "lease_lost" });
    expect(await day()).toEqual({ spent: 0, reserved: 0, open: 0 });
  });

  test("refuse what does not fit by the cap, the part and what is left, and write nothing", async () => {
    const [message] = await taken(1);
    if (!message) throw new Error("nothing was taken");
    const refused = aside(message, capped({ day: { ...open, tokens: 100 }, trace: { ...open, cost_usd: 0.05 } }));
    await expect(refused).rejects.toMatchObject({
      code: "budget_exhausted",
      retry: false,
      details: { scope: "trace", part: "cost_usd", cap: 0.05, spent: 0, reserved: 0 },
    });
    expect(await world.sql`select from budget_accounts`).toEqual([]);
  });

  test("kill a message they refuse at its first attempt, and count nothing against its lane or its agent", async () => {
    const [message] = await taken(1);
    if (!message) throw new Error("nothing was taken");
    const blamed = async () => {
      const [row] = await world.sql<{ failed: number; dead: number }[]>`
        select coalesce(sum(failed), 0)::int as failed, coalesce(sum(dead), 0)::int as dead from bus_deltas`;
      return row ?? { failed: 0, dead: 0 };
    };
    const before = await blamed();
    const refused = await aside(message, capped({ day: { ...open, tokens: 1 } })).catch((error: unknown) => error);
    expect(await settleFailed(world.settling, message, { thrown: refused, staged: [], records: [] })).toBeNull();
    expect(await blamed()).toEqual({ failed: before.failed, dead: before.dead + 1 });
    expect(outcomeOf({ code: "budget_exhausted" }, "code.generate")).toBe("void");
  });

  test("begin anew with the day, while the month goes on", async () => {
    const [first, second, third] = await taken(3);
    if (!first || !second || !third) throw new Error("too little was taken");
    const policy = capped({ day: { ...open, tokens: 10 }, month: { ...open, tokens: 20 } });
    await world.sql.unsafe(`create or replace function bus_now() returns timestamptz language sql stable
      as $$ select timestamptz '2031-03-30 12:00:00+00' $$`);
    await aside(first, policy);
    await expect(aside(second, policy)).rejects.toMatchObject({ details: { scope: "day" } });
    await world.sql.unsafe(`create or replace function bus_now() returns timestamptz language sql stable
      as $$ select timestamptz '2031-03-31 12:00:00+00' $$`);
    await aside(second, policy);
    const full = { ...policy, default: { ...policy.default, day: null } };
    await expect(aside(third, full)).rejects.toMatchObject({ details: { scope: "month", reserved: 20 } });
  });
});

describe("budgets of a worker", () => {
  test("are kept by its handlers: what fits is booked once, what does not ends the request, unasked", async () => {
    const world = await openWorld();
    const crew = openCrew(world);
    let calls = 0;
    const policy = capped({ day: { ...open, tokens: 25 } });
    await crew.start(
      [
        handler("chat.ask", async (_, tools) => {
          await tools.reserve({ ...unsaid, tokens: 10 });
          calls += 1;
          tools.spend({ ...unsaid, tokens: 10 });
          return { result: 1, answer };
        }),
      ],
      { budgets: () => policy },
    );
    for (const status of ["done", "done", "failed"]) await crew.ended(await crew.ask("chat.ask")).toBe(status);

    expect(calls).toBe(2);
    const rows = await world.sql`
      select spent_tokens::int as spent, reserved_tokens::int as reserved from budget_accounts where scope = 'day'`;
    expect(rows).toEqual([{ spent: 20, reserved: 0 }]);
    await crew.stop();
    await world.close();
  });
});
