import postgres from "postgres";

/** The database, or a transaction in it. */
export type Sql = postgres.ISql<Record<string, never>>;

/** A pool of connections, which can also open transactions, listen and be ended. */
export type Database = postgres.Sql<Record<string, never>>;

/** A transaction; what is done in it is done together or not at all. */
export type Transaction = postgres.TransactionSql<Record<string, never>>;

/** Opens a pool of at most `max` connections; nothing is connected before the first query. */
export function connect(url: string, { max = 5 }: { max?: number } = {}): Database {
  return postgres(url, { max, onnotice: () => {}, idle_timeout: 60, connect_timeout: 10 });
}

/**
 * A value as text for `::jsonb`. Postgres keeps neither NUL nor half a surrogate pair, and logs of strangers hold both:
 * they become U+FFFD instead of failing the statement.
 */
export function jsonText(value: unknown): string {
  return JSON.stringify(value ?? null, (_, inner) =>
    typeof inner === "string" ? inner.toWellFormed().replaceAll("\0", "\uFFFD") : inner,
  );
}
