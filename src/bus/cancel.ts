import { Failure, recordOf } from "../contracts/failure.ts";
import { endBadly, lineNext, takeOut } from "../store/attempts.ts";
import { dropWaits, noteCancel, unendedOf } from "../store/cancels.ts";
import type { Database } from "../store/database.ts";
import { tellAlone } from "../store/events.ts";
import { dropJoins } from "../store/joins.ts";
import { endTrace, traceOf } from "../store/traces.ts";
import { type Wake, wake } from "../store/wake.ts";

/**
 * Calls a trace off: what waits is ended as cancelled, what is under way hears it through its signal, and the trace ends
 * as failed with `cancelled`. False: it had ended already, and nothing happens. Throws `not_found` for a trace that is
 * not there or belongs to another tenant (`tenant` null: any).
 */
export async function cancelTrace(
  sql: Database,
  { traceId, tenant, by }: { traceId: string; tenant: string | null; by: string },
): Promise<boolean> {
  const trace = await traceOf(sql, traceId, tenant);
  if (!trace) throw new Failure("not_found", `there is no trace ${traceId}`);
  if (trace.status !== "open") return false;
  const rootId = trace.root_id;
  const failure = recordOf(new Failure("cancelled", `the trace was called off by ${by}`));
  const news: Wake = { roles: [], traces: [traceId], flows: [], cancelled: [rootId] };
  await sql.begin(async (tx) => {
    await noteCancel(tx, rootId);
    const waiting = await takeOut(tx, await unendedOf(tx, rootId, traceId));
    if (waiting.length > 0) {
      await endBadly(
        tx,
        waiting.map((message) => ({
          message,
          was: message.was,
          status: "cancelled" as const,
          worker: null,
          claimedAt: null,
          delayMs: 0,
          blamed: false,
          failure,
          why: null,
        })),
      );
    }
    for (const message of waiting) news.flows.push(...(await lineNext(tx, message)));
    await dropWaits(tx, traceId);
    await dropJoins(tx, { rootId, traceId });
    await endTrace(tx, rootId, { failure });
    await tellAlone(tx, { kind: "trace_cancelled", tenant: trace.tenant, traceId, details: { by } });
  });
  await wake(sql, news);
  return true;
}
