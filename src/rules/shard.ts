/**
 * The lane of a key: always the same for the same key and number of lanes, 0..shards-1.
 * FNV-1a, 32 bit (Fowler, Noll, Vo), over the UTF-8 bytes.
 */
export function shardOf(key: string, shards: number): number {
  return fnv1a(key) % shards;
}

/** FNV-1a of the UTF-8 bytes of `text`: 0..2^32-1. Not for secrets. */
export function fnv1a(text: string): number {
  let hash = 2166136261;
  for (const byte of encoder.encode(text)) hash = Math.imul(hash ^ byte, 16777619);
  return hash >>> 0;
}

const encoder = new TextEncoder();
