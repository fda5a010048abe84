import fc from "fast-check";
import { expect, test } from "vitest";
import { fnv1a, shardOf } from "../../src/rules/shard.ts";

test("hashes as FNV-1a does (published test vectors)", () => {
  expect(fnv1a("")).toBe(0x811c9dc5);
  expect(fnv1a("a")).toBe(0xe40c292c);
  expect(fnv1a("foobar")).toBe(0xbf9cf968);
});

test("a key is always on one lane, and the lane exists", () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 512 }), (key, shards) => {
      const shard = shardOf(key, shards);
      expect(shard).toBe(shardOf(key, shards));
      expect(shard).toBeGreaterThanOrEqual(0);
      expect(shard).toBeLessThan(shards);
    }),
  );
});
