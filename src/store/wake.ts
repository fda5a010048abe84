import type { Database, Sql } from "./database.ts";
import type { Flow } from "./messages.ts";

/**
 * What changed: roles with new work, traces with news, where exactly the new work waits (as far as it is known), and
 * traces that were called off. A hint to look, never the message itself.
 */
export type Wake = {
  roles: string[];
  traces: string[];
  flows: Flow[];
  cancelled?: string[];
  ended?: string[]; // of `traces`, those that are over; left out: any of them may be
  look?: boolean; // not all of the new work is in `flows`: whoever plays one of `roles` looks
  by?: string; // the worker who says it, and knows
};

/**
 * Tells every listener. Called after the commit, so it never fails: a wake-up that is lost costs latency only, because
 * everybody also polls. It changes nothing, so it does not wait for the disk, which others write to meanwhile.
 */
export async function wake(sql: Sql, hint: Wake): Promise<void> {
  await sql`
    select pg_notify('bus_wake', ${wakeText(hint)})
    where set_config('synchronous_commit', 'off', true) is not null`.catch(() => {});
}

/** A notification holds less than 8,000 bytes: of more, only the roles are told. */
export function wakeText(hint: Wake): string {
  const text = JSON.stringify(hint);
  return text.length < 7500 ? text : JSON.stringify({ roles: [...new Set(hint.roles)], traces: [], flows: [] });
}

/**
 * Calls `heard` for each wake-up, and once after every (re)connection, when any number may have been missed.
 * Takes a connection of its own; answers the function that ends it.
 */
export async function listen(sql: Database, heard: (hint: Wake | null) => void): Promise<() => Promise<void>> {
  const { unlisten } = await sql.listen(
    "bus_wake",
    (text) => heard(parse(text)),
    () => heard(null),
  );
  return unlisten;
}

function parse(text: string): Wake | null {
  try {
    const { roles, traces, flows = [], cancelled = [], ended = traces, look, by } = JSON.parse(text);
    const lists = [roles, traces, flows, cancelled, ended];
    if (!lists.every((list) => Array.isArray(list))) return null;
    return { roles, traces, flows, cancelled, ended, look: look === true, by };
  } catch {
    return null;
  }
}
