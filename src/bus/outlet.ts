import type { Database } from "../store/database.ts";
import { tellSaid } from "../store/tokens.ts";

/** Where a model's words go while it speaks: to whoever follows the trace, and into no history. */
export type Outlet = { say(text: string): void; end(): Promise<void> };

/** How often words go out at the most. */
const everyMs = 100;

/** Words are gathered and sent a few times a second; one sending at a time. */
export function openOutlet(sql: Database, { traceId, round }: { traceId: string; round: number }): Outlet {
  let gathered = "";
  let timer: NodeJS.Timeout | null = null;
  let sending = Promise.resolve();

  function send(): void {
    timer = null;
    const text = gathered;
    gathered = "";
    if (text !== "") sending = sending.then(() => tellSaid(sql, { trace_id: traceId, round, text }));
  }

  return {
    say(text) {
      gathered += text;
      timer ??= setTimeout(send, everyMs);
    },
    end() {
      if (timer) clearTimeout(timer);
      send();
      return sending;
    },
  };
}
