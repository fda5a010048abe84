import type { Database } from "../store/database.ts";
import { closeWait } from "../store/waits.ts";
import { type Wake, wake } from "../store/wake.ts";
import { mustFit } from "./draft.ts";
import { publishIn } from "./settle.ts";

/**
 * Answers what a trace waits for: the message that was prepared goes out with `answered: { by, answer }` in its payload,
 * in the transaction that closes the wait. False: it was answered already, has expired or was called off, and nothing
 * happens. Throws `payload_too_large`.
 */
export async function answerWait(
  sql: Database,
  { id, answer, by }: { id: string; answer: Record<string, unknown>; by: string },
): Promise<boolean> {
  const news: Wake = { roles: [], traces: [], flows: [] };
  const closed = await sql.begin(async (tx) => {
    const wait = await closeWait(tx, { id, answer, by });
    if (!wait) return false;
    const before = typeof wait.next.payload === "object" ? wait.next.payload : {};
    const payload = { ...before, answered: { by, answer } };
    mustFit(`${wait.next.service}.${wait.next.role}`, JSON.stringify(payload));
    await publishIn(tx, [{ ...wait.next, payload }], news);
    news.traces.push(wait.traceId);
    return true;
  });
  if (closed) await wake(sql, news);
  return closed;
}
