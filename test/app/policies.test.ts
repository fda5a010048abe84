import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
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

  test.each([
    ["is no JSON", "{"],
    ["is empty", ""],
    [
      "has a rule out of range",
      '{"default":{"window_ms":1,"min_calls":1,"failure_rate":2,"cooldown_ms":1,"half_open_probes":0},"keys":{}}',
    ],
    ["has a word nobody knows", '{"default":{},"keys":{},"surprise":1}'],
    ["has NUL in it", '{"default":"\\u0000"}\0'],
  ])("a file of circuits that %s is refused, and the last good one stays", async (what, text) => {
    const before = (await events()).length;
    const circuits = await followPolicy("circuit_breaker.json", {
      folder,
      sql: world.sql,
      log: world.log,
      everyMs: 20,
    });
    const good = circuits.current();
    const path = join(folder, "circuit_breaker.json");
    const kept = await readFile(path, "utf8");
    await writeFile(path, text);

    await expect.poll(async () => (await events()).slice(before)).toEqual(["policy_reload_failed"]);

    expect(circuits.current(), what).toBe(good);
    circuits.stop();
    await writeFile(path, kept);
  });

  test("a file that is bad at the start is refused by file and field", async () => {
    const path = join(folder, "bus.json");
    await writeFile(path, JSON.stringify({ shards: { default: 0, keys: {} }, history: {} }));

    const refused = followPolicy("bus.json", { folder, sql: world.sql, log: world.log });

    await expect(refused).rejects.toMatchObject({
      code: "config_invalid",
      details: { file: path, field: "shards.default" },
    });
  });
});
