import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { migrationsFolder } from "../../src/app/paths.ts";
import { connect, type Database } from "../../src/store/database.ts";
import { startServer } from "../../src/store/embedded.ts";
import { migrate } from "../../src/store/migrations.ts";
import { tenants } from "./load.ts";
import { openWire, type Wire } from "./wire.ts";

/** The database of a run, behind a wire whose address stays. `direct` goes past the wire, to the server as it is now. */
export type Ground = {
  wire: Wire;
  direct<T>(ask: (sql: Database) => Promise<T>): Promise<T>;
  restart(how: "stop" | "kill"): Promise<void>; // one after the other
  terminate(share: number): Promise<number>; // ends this share of the sessions, oldest first; answers how many
  close(): Promise<void>;
};

/** Starts an embedded Postgres of its own in `dataDir` with the newest schema and the tenants of a run. */
export async function openGround(dataDir: string): Promise<Ground> {
  let server = await startServer(dataDir);
  const wire = await openWire(server.url);
  let ready: Promise<void> = Promise.resolve();

  async function direct<T>(ask: (sql: Database) => Promise<T>): Promise<T> {
    const sql = connect(server.url, { max: 1 });
    return ask(sql).finally(() => sql.end({ timeout: 1 }));
  }

  async function again(how: "stop" | "kill"): Promise<void> {
    wire.down();
    if (how === "stop") await server.stop();
    else process.kill(await postmaster(server.home), "SIGKILL");
    server = await startServer(dataDir);
    await wire.up(server.url);
  }

  await direct(async (sql) => {
    await migrate(sql, migrationsFolder);
    await sql`insert into tenants (id) select unnest(${tenants}::text[])`;
  });
  return {
    wire,
    direct,
    restart(how) {
      ready = ready.then(() => again(how));
      return ready;
    },
    terminate: (share) =>
      direct(async (sql) => {
        const ended = await sql`
          with sessions as (
            select pid, row_number() over (order by backend_start) as place, count(*) over () as all
            from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()
          )
          select pg_terminate_backend(pid) from sessions where place <= ceil(${share}::float8 * sessions.all)`;
        return ended.length;
      }),
    async close() {
      await ready.catch(() => {}); // told to whoever asked for the restart
      await wire.close();
      await server.stop();
      await rm(server.home, { recursive: true, force: true });
    },
  };
}

async function postmaster(home: string): Promise<number> {
  return Number((await readFile(join(home, "data/postmaster.pid"), "utf8")).split("\n")[0]);
}
