import type { Tools } from "../../bus/handler.ts";
import { type Pace, paced, progressLine, unpaced } from "../../rules/pace.ts";

const everyMs = 1000;

/** Where an agent's words about its progress go. */
export type Progress = { hear(text: string): void; end(): Promise<void> };

/**
 * Tells how far the agent that has the work is, as `execute_status`: at most one a second, and at the end the last one
 * that was too soon. `clock` in milliseconds.
 */
export function progressOf(
  { status }: Pick<Tools, "status">,
  { round, clock = () => performance.now() }: { round: number; clock?: () => number },
): Progress {
  let pace: Pace<string> = unpaced;
  let last = "";
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  let telling = Promise.resolve();

  function tell(text: string): void {
    // A status that cannot be written costs the watcher a line; it must not cost the answer.
    telling = telling.then(() => status(text, { round }, "execute_status")).catch(() => {});
  }

  function look(said: { word: string } | null): void {
    clearTimeout(timer);
    const next = paced(pace, { said, at: clock(), everyMs });
    pace = next.pace;
    if (next.tell) tell(next.tell.word);
    if (next.afterMs !== null) timer = setTimeout(look, next.afterMs, null);
  }

  return {
    hear(text) {
      const word = progressLine(text);
      if (over || word === "" || word === last) return;
      last = word;
      look({ word });
    },
    end() {
      clearTimeout(timer);
      if (!over && pace.kept) tell(pace.kept.word);
      over = true;
      return telling;
    },
  };
}
