import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { takeToken } from "../../src/store/limits.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
  // A clock that stands still between the steps of a test.
  await world.sql.unsafe(`
    create table hands (s double precision not null);
    insert into hands values (0);
    create or replace function bus_now() returns timestamptz language sql stable
    as $$ select timestamptz '2030-01-01 00:00:00+00' + s * interval '1 second' from public.hands $$`);
});
afterAll(() => world.close());

test("a bucket lets through what a plain model of it does, also when many take at once", async () => {
  const Steps = fc.array(
    fc.record({ passes: fc.integer({ min: 0, max: 8 }), takers: fc.integer({ min: 1, max: 6 }) }),
    {
      minLength: 1,
      maxLength: 8,
    },
  );
  await fc.assert(
    fc.asyncProperty(
      Steps,
      fc.integer({ min: 1, max: 4 }),
      fc.constantFrom(0.25, 0.5, 1, 2),
      async (steps, burst, per_s) => {
        await world.sql.unsafe("truncate rate_buckets; update hands set s = 0");
        let tokens = burst;
        for (const { passes, takers } of steps) {
          await world.sql`update hands set s = s + ${passes}::float8`;
          tokens = Math.min(burst, tokens + passes * per_s);
          const answers = await Promise.all(
            Array.from({ length: takers }, () => takeToken(world.sql, { tenant: "local" }, { per_s, burst })),
          );
          const through = Math.min(takers, Math.floor(tokens));
          expect(answers.filter((wait) => wait === null)).toHaveLength(through);
          tokens -= through;
          for (const wait of answers) if (wait !== null) expect(wait).toBeLessThanOrEqual(Math.ceil(1000 / per_s));
        }
      },
    ),
    { numRuns: 40 },
  );
});

test("who is told to wait comes through when he has waited, and not before", async () => {
  await world.sql.unsafe("truncate rate_buckets; update hands set s = 0");
  const rate = { per_s: 0.5, burst: 1 };
  expect(await takeToken(world.sql, { tenant: "local" }, rate)).toBeNull();
  expect(await takeToken(world.sql, { tenant: "local" }, rate)).toBe(2000);
  await world.sql`update hands set s = 1.5`;
  expect(await takeToken(world.sql, { tenant: "local" }, rate)).toBe(500);
  await world.sql`update hands set s = 2`;
  expect(await takeToken(world.sql, { tenant: "local" }, rate)).toBeNull();
});
