/**
 * A trace id of the time it is made at: UUID version 7 (RFC 9562, section 5.7). Ids of one time lie together in an index,
 * so storing them costs what storing them in order costs. `chance` is a UUID of version 4; its last 74 bits stay.
 */
export function traceIdAt(ms: number, chance: string): string {
  const time = ms.toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${chance.slice(15)}`;
}
