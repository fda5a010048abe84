import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

test("the example of a worker with a role of its own runs as it says", async () => {
  const env = { ...process.env, DATABASE_URL: world.url };
  const { stdout } = await promisify(execFile)(process.execPath, ["dist/examples/worker.js"], { env });

  expect(stdout.trim()).toBe("HELLO");
  expect(await world.sql`select shards from bus_roles where service = 'shout'`).toEqual([{ shards: 4 }]);
});
