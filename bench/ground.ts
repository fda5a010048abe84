import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { connect, type Database } from "../src/store/database.ts";
import { startServer } from "../src/store/embedded.ts";

/** A Postgres of one benchmark, as the product starts it: fsync and synchronous_commit on. */
export type BenchGround = {
  pid: number; // of its first process; all others are its children
  admin: Database;
  /** A new database, empty or like another one that nobody is connected to. Answers its URL. */
  database(name: string, like?: string): Promise<string>;
  drop(name: string): Promise<void>;
  /** Whether somebody is in the middle of something in a database. */
  busy(name: string): Promise<boolean>;
  facts(): Promise<Record<string, unknown>>;
  close(): Promise<void>;
};

/** Starts an embedded Postgres in a folder that is gone afterwards. */
export async function openBenchGround(): Promise<BenchGround> {
  const folder = await mkdtemp(join(tmpdir(), "dagent-bench-"));
  await chmod(folder, 0o711); // the account of the server passes through
  const server = await startServer(folder);
  const admin = connect(server.url, { max: 1 });

  /** Some clients answer that they are closed before their connections are; they are given a moment. */
  async function deserted(name: string): Promise<void> {
    for (let turn = 0; turn < 500; turn += 1) {
      const sessions = await admin`select 1 from pg_stat_activity where datname = ${name} limit 1`;
      if (sessions.length === 0) return;
      await pause(10);
    }
  }

  return {
    pid: Number((await readFile(join(server.home, "data/postmaster.pid"), "utf8")).split("\n")[0]),
    admin,
    async database(name, like = "template0") {
      await deserted(like);
      await admin.unsafe(`create database ${name} template ${like} strategy wal_log`);
      const url = new URL(server.url);
      url.pathname = `/${name}`;
      return url.href;
    },
    async drop(name) {
      await deserted(name);
      await admin.unsafe(`drop database if exists ${name} with (force)`);
    },
    async busy(name) {
      const sessions = await admin`
        select 1 from pg_stat_activity
        where datname = ${name} and backend_type = 'client backend' and state <> 'idle'
        limit 1`;
      return sessions.length > 0;
    },
    async facts() {
      const rows = await admin<{ name: string; setting: string }[]>`
        select name, current_setting(name) as setting
        from unnest(array['server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers',
                          'max_connections', 'autovacuum', 'io_method', 'jit']) name`;
      return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
    },
    async close() {
      await admin.end();
      await server.stop();
      await rm(server.home, { recursive: true, force: true });
      await rm(folder, { recursive: true, force: true });
    },
  };
}
