import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { addressOf } from "../../src/bus/roles.ts";
import { connect } from "../../src/store/database.ts";
import { declareRoles } from "../../src/store/lanes.ts";
import { declare } from "../support/bus.ts";
import { openWorld, type World } from "../support/world.ts";

describe("the roles that a process has seen", () => {
  let world: World;
  beforeEach(async () => {
    world = await openWorld();
    await declare(world.sql, "chat.ask");
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await world.close();
  });

  test("are looked at again after a while, so that it hears of more shards, and nobody waits for that", async () => {
    const address = () => addressOf(world.sql, { to: "chat.ask", key: "c" });
    const before = await address();
    const other = connect(world.url, { max: 1 });
    await declareRoles(other, [{ role: "chat.ask", shards: 512, ordered: false }]);
    await other.end();
    expect(await address()).toEqual(before);

    const now = performance.now();
    vi.spyOn(performance, "now").mockImplementation(() => now + 6000);
    expect(await address()).toEqual(before);

    await expect.poll(async () => (await address()).shard).toBeGreaterThan(3);
  });
});
