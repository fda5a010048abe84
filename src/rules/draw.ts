import { fnv1a } from "./shard.ts";

/**
 * A number in [0, 1) that is always the same for the same words, and as good as chance between different ones: FNV-1a
 * (Fowler, Noll, Vo), stirred by the finaliser of MurmurHash3 (Appleby), without which neighbouring keys fall too
 * evenly. Not for secrets.
 */
export function drawOf(...words: string[]): number {
  let hash = fnv1a(words.join("\u0000"));
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
