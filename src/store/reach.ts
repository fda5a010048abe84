import { Failure } from "../contracts/failure.ts";
import type { Sql } from "./database.ts";

/** True when an error says that the database could not be reached, not that a statement was wrong. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof Failure && error.code === "database_unavailable";
}

/** What a query answers, if it does so within `withinMs`. Throws `database_unavailable` with the reason if not. */
export async function within<Rows>(withinMs: number, query: Promise<Rows>): Promise<Rows> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const failure = new Failure("database_unavailable", `the database did not answer within ${withinMs} ms`);
    timer = setTimeout(() => reject(failure), withinMs);
  });
  try {
    return await Promise.race([query, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks the database for nothing. Throws `database_unavailable` when it does not answer within `withinMs`. */
export async function ping(sql: Sql, withinMs: number): Promise<void> {
  await within(withinMs, sql`select 1`);
}
