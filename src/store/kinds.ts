import { jsonText } from "./database.ts";
import type { Draft, Root } from "./messages.ts";

/** What many drafts have in common, once each: the first draft of each kind, and of each draft the number of its kind. */
export type Kinds = { firsts: (Draft | Root)[]; kindOf: number[] };

/** Among so many of the latest that one draft's tenant and order key have, an equal one is looked for. */
const lookedAt = 16;

/** Sorts drafts by kind. Two kinds may be equal; nobody but the wire minds. */
export function kindsOf(drafts: (Draft | Root)[]): Kinds {
  const firsts: (Draft | Root)[] = [];
  const known = new Map<string, Map<string | null, number[]>>(); // by tenant, then by order key
  const kindOf = drafts.map((draft) => {
    const numbers = placeIn(
      placeIn(known, draft.tenant, () => new Map()),
      draft.orderKey,
      () => [],
    );
    for (let n = numbers.length - 1; n >= 0 && n >= numbers.length - lookedAt; n -= 1) {
      const number = numbers[n] ?? 0;
      const first = firsts[number];
      if (first && areAlike(first, draft)) return number;
    }
    numbers.push(firsts.length);
    return firsts.push(draft) - 1;
  });
  return { firsts, kindOf };
}

function placeIn<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const there = map.get(key);
  if (there !== undefined) return there;
  const made = make();
  map.set(key, made);
  return made;
}

/** Whether two drafts of one tenant and order key differ in nothing but what each message has of its own. */
function areAlike(a: Draft | Root, b: Draft | Root): boolean {
  return (
    a.role === b.role &&
    a.service === b.service &&
    a.shard === b.shard &&
    a.intent === b.intent &&
    a.priority === b.priority &&
    a.joinId === b.joinId &&
    a.ttlMs === b.ttlMs &&
    a.delayMs === b.delayMs &&
    a.traceparent === b.traceparent &&
    timeOf(a) === timeOf(b) &&
    keyTtlOf(a) === keyTtlOf(b) &&
    claimsTrace(a) === claimsTrace(b) &&
    (a.assignment === b.assignment || jsonText(a.assignment) === jsonText(b.assignment))
  );
}

/** A draft that was kept as JSON (a join's, a wait's) has its time as text. */
const timeOf = ({ expiresAt }: Draft) => expiresAt && new Date(expiresAt).getTime();
const keyTtlOf = (draft: Draft | Root) => ("keyTtlMs" in draft ? draft.keyTtlMs : null);
const claimsTrace = (draft: Draft | Root) => "claimsTrace" in draft && draft.claimsTrace;

/** The kinds as JSON: what they are, and `flow`, the first kind that waits in the same place. */
export function kindsText({ firsts }: Kinds): string {
  const flows = new Map<string, number>();
  return jsonText(
    firsts.map((draft, number) => {
      const { traceId, rootId, parentId, idempotencyKey, payload, body, ...kind } = draft;
      const { service, role, shard, priority, tenant } = kind;
      const flow = placeIn(flows, `${service}.${role}.${shard} ${priority} ${tenant}`, () => number);
      return { ...kind, requestHash: undefined, flow };
    }),
  );
}
