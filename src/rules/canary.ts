import { fnv1a } from "./shard.ts";

/** The canary draw of a key, 0..99: the same for the same key, so a retried message meets the same draw. */
export function bucketOf(key: string): number {
  return fnv1a(key) % 100;
}
