import type { Database, Sql } from "./database.ts";

/** What changed: roles with new work, traces with news. A hint to look, never the message itself. */
export type Wake = { roles: string[]; traces: string[] };

/**
 * Tells every listener. Called after the commit, so it never fails: a wake-up that is lost costs latency only, because
 * everybody also polls.
 */
export async function wake(sql: Sql, hint: Wake): Promise<void> {
  await sql`select pg_notify('bus_wake', ${JSON.stringify(hint)})`.catch(() => {});
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
    const { roles, traces } = JSON.parse(text);
    return Array.isArray(roles) && Array.isArray(traces) ? { roles, traces } : null;
  } catch {
    return null;
  }
}
