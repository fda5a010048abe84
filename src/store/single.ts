import { type Asked, type Claim, claimOf, nothing, type Wanted } from "./claims.ts";
import type { Sql } from "./database.ts";
import { jsonText } from "./database.ts";
import type { Root } from "./messages.ts";

/**
 * Stores one first message whose key is new, due at once. `tell`: the wake-up goes out as soon as the message can be seen,
 * before the disk has it. The answer, its lane, comes when it has: until then nothing is promised, and nothing can be settled.
 */
export async function putOne(sql: Sql, root: Root, tell: boolean): Promise<number> {
  const { service, role, shard, tenant, intent, traceId, idempotencyKey, requestHash, keyTtlMs } = root;
  const { priority, orderKey, ttlMs, body, payload } = root;
  const json = body ?? jsonText(payload);
  const [put] = tell
    ? await sql<{ lane: number }[]>`
        call bus_put_alone(${service}, ${role}, ${shard}, ${tenant}, ${intent}, ${traceId}, ${idempotencyKey}, ${requestHash},
                           ${keyTtlMs}, ${priority}, ${orderKey}, ${ttlMs}, ${json}::text::json, null)`
    : await sql<{ lane: number }[]>`
        select lane
        from bus_put(${service}, ${role}, ${shard}, ${tenant}, ${intent}, ${traceId}, ${idempotencyKey}, ${requestHash},
                     ${keyTtlMs}, ${priority}, ${orderKey}, ${ttlMs}, ${json}::text::json, false)`;
  if (!put) throw new Error("one message has one place");
  return put.lane;
}

/** Whether a message is one that `putOne` can store. */
export function isPuttable({
  claimsTrace,
  delayMs,
  expiresAt,
  assignment,
  parentId,
  joinId,
  traceparent,
}: Root): boolean {
  return (
    !claimsTrace && delayMs === 0 && !expiresAt && !assignment && parentId === null && joinId === null && !traceparent
  );
}

type Row = {
  token: string | null;
  attempts: number;
  seq: string;
  more: boolean;
  ids: string[];
  wire: string;
};

/**
 * Claims the first row of a flow, when nothing else is to be done. Like a claim of many it does not wait for the disk.
 * `more`: the flow has another row.
 */
export async function takeOne(
  sql: Sql,
  { lane, priority, tenant, low }: Asked,
  { worker, limit, lanes, leaseMs }: Pick<Wanted, "worker" | "limit" | "lanes" | "leaseMs">,
): Promise<Claim & { more: boolean }> {
  const [row] = await sql<Row[]>`
    select token, attempts, seq, more, ids, wire
    from bus_take(${worker}, ${lane}, ${priority}, ${tenant}, ${low}, ${limit}, ${leaseMs})
    where set_config('synchronous_commit', 'off', true) is not null`;
  if (!row?.token) return { ...nothing, more: false };
  const { token, attempts, seq, more, ids, wire } = row;
  const again = attempts > 0 ? Object.fromEntries(ids.map((id) => [id, attempts])) : null;
  const flows: [number, number, string, number, number, number][] = [
    [lane, priority, tenant, ids.length, 1, Number(seq)],
  ];
  return { ...claimOf([wire], { token, size: ids.length, seen: ids.length, again, flows }, { worker, lanes }), more };
}
