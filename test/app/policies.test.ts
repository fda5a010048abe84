import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Followed, followPolicy, type PolicyOf } from "../../src/app/policies.ts";
import { openWorld, type World } from "../support/world.ts";

describe("a policy that follows its file", () => {
  let world: World;
  let folder: string;
  let policy: Followed<PolicyOf<"retry_policy.json">>;
  beforeAll(async () => {
    world = await openWorld();
    folder = await mkdtemp(join(tmpdir(), "dagent-policies-"));
    await cp("configs", folder, { recursive: true });
    policy = await followPolicy("retry_policy.json", { folder, sql: world.sql, log: world.log, everyMs: 20 });
  });
  afterAll(async () => {
    policy.stop();
    await world.close();
    await rm(folder, { recursive: true });
  });

  const rule = { max_attempts: 9, base_ms: 1, factor: 1, cap_ms: 1, jitter: 0 };
  const write = (text: string) => writeFile(join(folder, "retry_policy.json"), text);
  const events = async () =>
    (await world.sql<{ kind: string }[]>`select kind from bus_events order by id`).map(({ kind }) => kind);

  test("takes a good edit, refuses a bad one once, and takes the next good one", async () => {
    await write(JSON.stringify({ default: rule, keys: {} }));
    await expect.poll(() => policy.current().default.max_attempts).toBe(9);

    await write('{"default":{"max_attempts":0}}');
    await expect.poll(events).toEqual(["policy_reloaded", "policy_reload_failed"]);
    expect(policy.current().default.max_attempts).toBe(9);

    await write(JSON.stringify({ default: { ...rule, max_attempts: 3 }, keys: {} }));
    await expect.poll(() => policy.current().default.max_attempts).toBe(3);
    await expect.poll(events).toEqual(["policy_reloaded", "policy_reload_failed", "policy_reloaded"]);
  });
});
