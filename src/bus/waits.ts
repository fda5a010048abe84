import type { Database } from "../store/database.ts";
import { tellAlone } from "../store/events.ts";
import { closeWait } from "../store/waits.ts";
import { type Wake, wake } from "../store/wake.ts";
import { mustFit, waitRoom } from "./draft.ts";
import { publishPrepared } from "./ends.ts";

/** An answer, and the fact that is told of it. */
export type Answering = {
  id: string;
  answer: Record<string, unknown>;
  by: string;
  fact?: { kind: string; details: Record<string, unknown> };
};

/**
 * Answers what a trace waits for: the message that was prepared goes out with `answered: { id, by, answer }` in its
 * payload, in the transaction that closes the wait. False: it was answered already, has expired or was called off, and
 * nothing happens. Throws `payload_too_large` for an answer that is.
 */
export async function answerWait(sql: Database, { id, answer, by, fact }: Answering): Promise<boolean> {
  const news: Wake = { roles: [], traces: [], flows: [] };
  const closed = await sql.begin(async (tx) => {
    const wait = await closeWait(tx, { id, answer, by });
    if (!wait) return false;
    const before = typeof wait.next.payload === "object" ? wait.next.payload : {};
    const payload = { ...before, answered: { id, by, answer } };
    mustFit(`${wait.next.service}.${wait.next.role}`, JSON.stringify(payload), waitRoom);
    if (fact) {
      const { tenant, traceId } = wait;
      await tellAlone(tx, { kind: fact.kind, tenant, traceId, details: { wait_id: id, by, ...fact.details } });
    }
    await publishPrepared(tx, [{ ...wait.next, payload }], news);
    news.traces.push(wait.traceId);
    return true;
  });
  if (closed) await wake(sql, news);
  return closed;
}
