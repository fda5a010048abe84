import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Failure } from "../contracts/failure.ts";
import type { Database, Transaction } from "./database.ts";

/**
 * Brings the database to the newest schema: every file of `folder` that was not run yet, in order, forward only,
 * each in a transaction of its own. One process at a time: the others wait for the lock and find nothing left to do.
 * The history table is the one the Supabase CLI keeps, so `supabase db push` and this agree. Answers what was run.
 */
export async function migrate(sql: Database, folder: string): Promise<string[]> {
  const files = (await readdir(folder)).filter((name) => /^\d{14}_\w+\.sql$/.test(name)).sort();
  const ran: string[] = [];
  for (const file of files) {
    const [, version = "", name = ""] = /^(\d+)_(\w+)\.sql$/.exec(file) ?? [];
    const text = await readFile(join(folder, file), "utf8");
    const fresh = await sql.begin(async (tx) => {
      await tx`select pg_advisory_xact_lock(hashtextextended('dagent.migrate', 0))`;
      if (ran.length === 0) await openHistory(tx);
      const [known] = await tx`select 1 from supabase_migrations.schema_migrations where version = ${version}`;
      if (known) return false;
      await tx.unsafe(text).catch((cause) => {
        throw new Failure("database_unavailable", `migration ${file} failed: ${cause.message}`, { cause });
      });
      await tx`
        insert into supabase_migrations.schema_migrations (version, name, statements)
        values (${version}, ${name}, ${[text]})`;
      return true;
    });
    if (fresh) ran.push(file);
  }
  return ran;
}

async function openHistory(tx: Transaction): Promise<void> {
  await tx`create schema if not exists supabase_migrations`;
  await tx`
    create table if not exists supabase_migrations.schema_migrations (
      version    text primary key,
      statements text[],
      name       text
    )`;
}
