import { Failure, recordOf } from "../contracts/failure.ts";
import type { CircuitPolicy } from "../contracts/policy.ts";
import { endBadly, takeOut } from "../store/attempts.ts";
import { foldDeltas } from "../store/backlog.ts";
import { expireDeadlines } from "../store/cancels.ts";
import { tellAlone } from "../store/events.ts";
import { endTrace, rootOf } from "../store/traces.ts";
import { expiredWaits } from "../store/waits.ts";
import { type Wake, wake } from "../store/wake.ts";
import { turnCircuits } from "./circuits.ts";
import { afterEnd, closeJoin, publishPrepared } from "./ends.ts";
import { type Settling, settleLapsed } from "./settle.ts";

/**
 * What every worker does for all, once a second: whoever comes first does it, the others find nothing. `breathe` is waited
 * for in between, so that a message that comes meanwhile does not stand behind all of it.
 */
export async function upkeep(
  settling: Settling,
  { circuits, breathe }: { circuits: CircuitPolicy | null; breathe: () => Promise<void> },
): Promise<void> {
  await settleLapsed(settling);
  await breathe();
  await expireMessages(settling);
  await breathe();
  await expireWaits(settling);
  await breathe();
  await foldDeltas(settling.sql);
  await breathe();
  if (circuits) await turnCircuits(settling.sql, circuits);
}

/** Ends messages whose time to live is over while they wait. Those under way are ended by their worker. */
async function expireMessages(settling: Settling): Promise<void> {
  const news: Wake = { roles: [], traces: [], flows: [] };
  await settling.sql.begin(async (tx) => {
    const ids = await expireDeadlines(tx, 500);
    if (ids.length === 0) return;
    const failure = recordOf(new Failure("expired", "its time to live was over before it was begun"));
    const verdict = { status: "expired", delayMs: 0, blamed: false, failure, why: null } as const;
    const waiting = await takeOut(tx, ids);
    if (waiting.length === 0) return;
    await endBadly(
      tx,
      waiting.map((message) => ({ ...verdict, message, was: message.was, worker: null, claimedAt: null })),
    );
    for (const message of waiting) {
      await afterEnd(tx, message, { verdict, settling, news });
      news.traces.push(message.traceId);
    }
  });
  if (news.traces.length > 0) await wake(settling.sql, news);
}

/** Goes on without the answer that did not come. */
async function expireWaits({ sql }: Settling): Promise<void> {
  const news: Wake = { roles: [], traces: [], flows: [] };
  await sql.begin(async (tx) => {
    for (const { id, kind, tenant, next, onExpiry, traceId, messageId } of await expiredWaits(tx, 100)) {
      news.traces.push(traceId);
      await tellAlone(tx, { kind: `${kind}_expired`, tenant, traceId, details: { wait_id: id } });
      if (onExpiry) {
        const payload = typeof onExpiry.payload === "object" ? onExpiry.payload : {};
        await publishPrepared(tx, [{ ...onExpiry, payload: { ...payload, unanswered: { id } } }], news);
        continue;
      }
      const failure = recordOf(new Failure("expired", "nobody answered in time"));
      if (next.joinId === null) await endTrace(tx, await rootOf(tx, messageId), { failure });
      else await closeJoin(tx, next.joinId, { more: 0, news });
    }
  });
  if (news.traces.length > 0) await wake(sql, news);
}
