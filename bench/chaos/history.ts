/** One transition of a message: the last word of its event's kind ('acked'), and the attempts it was told with. */
export type Step = { what: string; attempts: number };

/** Where a message stands: by the tables, or by its events. */
export type Standing = "queued" | "claimed" | "done" | "dead" | "expired" | "cancelled";

/** The walk of a message as its events tell it: where it got to, after how many attempts, and what was not allowed. */
export type Walk = { standing: Standing | null; attempts: number; faults: string[] };

/** From where a transition may start, and where it leads. `failing` lies between failed and dead, in one transaction. */
const transitions: Record<string, { from: string[]; to: string }> = {
  accepted: { from: ["nothing"], to: "queued" },
  acked: { from: ["queued"], to: "claimed" },
  retry: { from: ["claimed"], to: "queued" },
  done: { from: ["claimed"], to: "done" },
  failed: { from: ["claimed"], to: "failing" },
  dead: { from: ["failing"], to: "dead" },
  expired: { from: ["queued", "claimed"], to: "expired" },
  cancelled: { from: ["queued", "claimed"], to: "cancelled" },
};

/**
 * Follows the events of one message, oldest first. Each must be allowed where the last one led, and must belong to
 * the attempt under way: `acked` begins the next one, all others name the one that was begun last. Progress (`status`)
 * and events of a role's own are no transitions.
 */
export function walk(steps: Step[]): Walk {
  const faults: string[] = [];
  let at = "nothing";
  let begun = 0;
  for (const { what, attempts } of steps) {
    const transition = transitions[what];
    if (!transition) continue;
    if (!transition.from.includes(at)) faults.push(`${what} ${attempts} came while it was ${at}`);
    const expected = what === "acked" ? begun + 1 : begun;
    if (attempts !== expected) faults.push(`${what} told attempt ${attempts}; it was attempt ${expected}`);
    if (what === "acked") begun = Math.max(begun, attempts);
    at = transition.to;
  }
  return { standing: isStanding(at) ? at : null, attempts: begun, faults };
}

const standings: readonly string[] = ["queued", "claimed", "done", "dead", "expired", "cancelled"];

function isStanding(state: string): state is Standing {
  return standings.includes(state);
}
