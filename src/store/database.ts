import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { Failure } from "../contracts/failure.ts";
import { openListener } from "./listener.ts";

/**
 * A statement as a tagged template: every value is a parameter, never text of the statement. int8 and numeric come back
 * as strings, timestamptz as Date, jsonb parsed. Throws the server's error, with its SQLSTATE in `code`, or
 * `database_unavailable` when the connection cannot be had or broke.
 */
export type Sql = {
  <Rows extends readonly object[] = Record<string, unknown>[]>(
    text: TemplateStringsArray,
    ...values: unknown[]
  ): Promise<Rows>;
  /** Statements as they are, several at a time, without parameters. Only for text of our own. */
  unsafe(text: string): Promise<Record<string, unknown>[]>;
};

/** A transaction; what is done in it is done together or not at all. After its end it refuses every statement. */
export type Transaction = Sql;

/** A pool of connections, which can also open transactions, listen and be ended. */
export type Database = Sql & {
  /** Runs `work` in a transaction of one connection. It is rolled back when `work` throws or the connection breaks. */
  begin<Result>(work: (tx: Transaction) => Promise<Result>): Promise<Result>;
  /** Hears a channel on a connection of its own, which is opened again when it breaks; `onListen` is called each time. */
  listen(channel: string, heard: (text: string) => void, onListen?: () => void): Promise<{ unlisten(): Promise<void> }>;
  /** Lets what is under way end, for at most `timeout` seconds, and closes every connection. */
  end(options?: { timeout?: number }): Promise<void>;
};

/** Opens a pool of at most `max` connections; nothing is connected before the first query. */
export function connect(url: string, { max = 5 }: { max?: number } = {}): Database {
  const pool = new pg.Pool({ connectionString: url, max, idleTimeoutMillis: 60_000, connectionTimeoutMillis: 10_000 });
  // A connection that breaks is told to whoever uses it, and leaves the pool; unheard, the event would end the process.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));

  async function begin<Result>(work: (tx: Transaction) => Promise<Result>): Promise<Result> {
    const client = await pool.connect().catch(told);
    let open = true;
    let lost = () => {};
    const broken = new Promise<never>((_, reject) => {
      lost = () => reject(new Failure("database_unavailable", "the connection broke in the middle of a transaction"));
    });
    broken.catch(() => {}); // it may break before or after anybody waits for it
    client.once("end", lost);
    const run = (query: pg.QueryConfig) => client.query(query);
    const tx = statements((query) => (open ? run(query) : Promise.reject(new Error("the transaction has ended"))));
    const outside = statements(run);
    try {
      await outside.unsafe("begin");
      const result = await Promise.race([work(tx), broken]);
      open = false;
      await outside.unsafe("commit");
      client.release();
      return result;
    } catch (error) {
      open = false;
      const clean = await outside.unsafe("rollback").then(
        () => true,
        () => false,
      );
      client.release(!clean); // a connection that cannot even roll back is closed, and the server rolls back
      throw error;
    } finally {
      client.off("end", lost);
    }
  }

  const listeners = new Set<() => Promise<void>>();
  let ended: Promise<void> | null = null;
  return Object.assign(
    statements((query) => pool.query(query)),
    {
      begin,
      async listen(channel: string, heard: (text: string) => void, onListen = () => {}) {
        const stop = await openListener(url, { channel, heard, onListen });
        listeners.add(stop);
        return {
          async unlisten() {
            listeners.delete(stop);
            await stop();
          },
        };
      },
      async end({ timeout = 5 }: { timeout?: number } = {}) {
        await Promise.all([...listeners].map((stop) => stop()));
        ended ??= pool.end();
        await Promise.race([ended, pause(timeout * 1000, undefined, { ref: false })]);
      },
    },
  );
}

/** A piece of a statement that stands in several of them; its values are parameters of whichever it is put in. */
export class Part {
  readonly #text: readonly string[];
  readonly #values: unknown[];

  constructor(text: readonly string[], values: unknown[]) {
    this.#text = text;
    this.#values = values;
  }

  /** The text with its parameters numbered from `first`, and their values in that order. */
  from(first: number): { text: string; values: unknown[] } {
    let text = this.#text[0] ?? "";
    const values: unknown[] = [];
    for (const [n, value] of this.#values.entries()) {
      const here = value instanceof Part ? value.from(first + values.length) : parameter(first + values.length, value);
      text += here.text + (this.#text[n + 1] ?? "");
      values.push(...here.values);
    }
    return { text, values };
  }
}

/** Writes a part: part`a.tenant = ${tenant}`. */
export function part(text: TemplateStringsArray, ...values: unknown[]): Part {
  return new Part(text, values);
}

function parameter(number: number, value: unknown): { text: string; values: unknown[] } {
  return { text: `$${number}`, values: [value] };
}

type Run = (query: pg.QueryConfig) => Promise<pg.QueryResult | pg.QueryResult[]>;

function statements(run: Run): Sql {
  const rowsOf = (result: pg.QueryResult | pg.QueryResult[]) =>
    (Array.isArray(result) ? result.at(-1)?.rows : result.rows) ?? [];
  const tagged = async (...template: [TemplateStringsArray, ...unknown[]]) => {
    const { text: statement, values } = part(...template).from(1);
    return rowsOf(await run({ name: nameOf(statement), text: statement, values }).catch(told));
  };
  const unsafe = async (text: string) => rowsOf(await run({ text }).catch(told));
  return Object.assign(tagged, { unsafe }) as Sql; // the rows are what the statement's author says they are
}

/** Names of statements. There are as many as there are statements in this program. */
const names = new Map<string, string>();

/** A statement has a name, so that a connection parses and plans it once. */
function nameOf(statement: string): string {
  const known = names.get(statement);
  if (known !== undefined) return known;
  const name = createHash("sha256").update(statement).digest("base64url").slice(0, 24);
  names.set(statement, name);
  return name;
}

/** The server's own no as it is; anything else means that there was no server to say it. */
function told(error: unknown): never {
  if (error instanceof pg.DatabaseError && !noServer.test(error.code ?? "")) throw error;
  const reason = error instanceof Error ? error.message : String(error);
  throw new Failure("database_unavailable", `the database cannot be reached: ${reason}`, { cause: error });
}

/** SQLSTATE: connection exceptions, shutting down or starting up, too many connections. */
const noServer = /^(08...|57P0[1-4]|53300)$/;

/** Whether the same transaction may well succeed a moment later: the connection broke, or two waited for each other. */
export function mayPass(error: unknown): boolean {
  if (error instanceof Failure) return error.code === "database_unavailable";
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : null;
  return code === "40P01" || code === "40001";
}

/**
 * A value as text for `::jsonb`. Postgres keeps neither NUL nor half a surrogate pair, and logs of strangers hold both:
 * they become U+FFFD instead of failing the statement.
 */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value ?? null);
  if (isStorable(text)) return text;
  return JSON.stringify(value ?? null, (_, inner) =>
    typeof inner === "string" ? inner.toWellFormed().replaceAll("\0", "\uFFFD") : inner,
  );
}

/** Whether Postgres keeps this JSON as it is: NUL and half surrogates are escapes in what JSON.stringify writes. */
export function isStorable(json: string): boolean {
  return !/\\u(0000|d[89a-f])/.test(json);
}

/** An array of numbers as the server reads it; cheaper than leaving each element to the driver. */
export function array(numbers: (number | string)[]): string {
  return `{${numbers.join(",")}}`;
}
