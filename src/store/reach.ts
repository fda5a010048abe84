import { Failure } from "../contracts/failure.ts";
import type { Sql } from "./database.ts";

/** Errors of the driver and of the network below it. */
const lost =
  /^(CONNECTION_(CLOSED|ENDED|DESTROYED)|CONNECT_TIMEOUT|E(CONNREFUSED|CONNRESET|PIPE|TIMEDOUT|NOTFOUND|HOSTUNREACH|AI_AGAIN))$/;
/** SQLSTATE: connection exceptions, shutting down or starting up, too many connections. */
const refused = /^(08...|57P0[1-4]|53300)$/;

/** True when an error says that the database could not be reached, not that a statement was wrong. */
export function isUnreachable(error: unknown): boolean {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return false;
  return lost.test(error.code) || refused.test(error.code);
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
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    throw new Failure("database_unavailable", "the database cannot be reached; it is tried again with every request", {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}

/** Asks the database for nothing. Throws `database_unavailable` when it does not answer within `withinMs`. */
export async function ping(sql: Sql, withinMs: number): Promise<void> {
  await within(withinMs, sql`select 1`);
}
