import type { Taken } from "./claims.ts";
import { array, isStorable, jsonText, type Sql } from "./database.ts";
import { factRows } from "./facts.ts";
import { type Done, endedTwice } from "./step.ts";

/** How one attempt is settled alone. */
export type Alone = {
  freed: string[] | null; // the messages of its lease, when it is the last of them that is open: the lease goes too
  hands: boolean; // the follow-up is leased to the same worker at once
  leaseMs: number;
};

/** What came of it. `lost`: the lease is gone, and nothing was written. `taken`: the follow-up, when it was handed on. */
export type SteppedOne = { lost: boolean; taken: Taken | null };

/** Whether an attempt is one that `stepOne` can settle. */
export function isOne({ next }: Pick<Done, "next">): boolean {
  const [draft] = next;
  return !draft || (next.length === 1 && draft.joinId === null && draft.delayMs === 0 && draft.traceparent === null);
}

type Row = { settled: boolean; id: string | null; token: string | null; lane: number; createdAt: Date };

/** Settles one attempt that has at most one follow-up: what `step` does, in a function of the database. */
export async function stepOne(
  sql: Sql,
  { message, result, answer, next: [draft], records }: Done,
  { freed, hands, leaseMs }: Alone,
): Promise<SteppedOne> {
  const facts = records.length > 0 ? jsonText(factRows(message, records)) : null;
  const body = draft ? (draft.body ?? jsonText(draft.payload)) : null;
  const [row] = await sql<Row[]>`
    select settled, id, token, next_lane as lane, created_at as "createdAt"
    from bus_step_one(
      ${message.worker}, ${message.token}, ${message.id}, ${message.attempts}, ${message.lane},
      ${textOf(result)}::text::json, ${textOf(answer)}::text::json,
      ${freed && array(freed)}::bigint[], ${facts}::text::jsonb,
      ${draft?.service ?? null}, ${draft?.role ?? null}, ${draft?.shard ?? null}, ${draft?.tenant ?? null},
      ${draft?.intent ?? null}, ${draft?.traceId ?? null}, ${draft?.rootId ?? null}, ${draft?.idempotencyKey ?? null},
      ${draft?.priority ?? null}, ${draft?.orderKey ?? null}, ${draft?.expiresAt ?? null}, ${draft?.ttlMs ?? null},
      ${draft?.assignment ? jsonText(draft.assignment) : null}::text::jsonb, ${body}::text::json,
      ${hands}, ${leaseMs})`.catch(endedTwice);
  if (!row?.settled) return { lost: true, taken: null };
  const { id, token, lane, createdAt } = row;
  if (!draft || body === null || id === null || token === null) return { lost: false, taken: null };
  const { service, role, shard, tenant, intent, traceId, rootId, parentId, idempotencyKey, priority } = draft;
  const taken: Taken = {
    ...{
      id,
      lane,
      service,
      role,
      shard,
      tenant,
      intent,
      traceId,
      rootId: rootId ?? id,
      parentId,
      idempotencyKey,
      priority,
    },
    ...{ joinId: null, orderKey: null, expiresAt: null, traceparent: null, createdAt, attempts: 1, leftMs: null },
    assignment: draft.assignment && structuredClone(draft.assignment),
    payload: JSON.parse(body), // a copy, as it would come from the database
    token,
    lease: { token, ids: [id] },
    worker: message.worker,
  };
  return { lost: false, taken };
}

/** As in a list: no value is no JSON. */
function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  const text = JSON.stringify(value);
  return isStorable(text) ? text : jsonText(value);
}
