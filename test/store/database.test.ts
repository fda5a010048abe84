import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connect, type Database } from "../../src/store/database.ts";
import { openWorld, type World } from "../support/world.ts";

describe("a connection that breaks", () => {
  let world: World;
  let sql: Database; // one connection, so that whatever it leaves behind meets the next user
  beforeEach(async () => {
    world = await openWorld();
    await world.sql`create table kept (who text)`;
    sql = connect(world.url, { max: 1 });
  });
  afterEach(async () => {
    await sql.end({ timeout: 1 });
    await world.close();
  });
  const kept = async () => (await world.sql<{ who: string }[]>`select who from kept`).map(({ who }) => who);
  /** Ends a session from outside, and waits until it is gone. */
  const end = async (pid: number) => {
    await world.sql`select pg_terminate_backend(${pid}, 5000)`;
  };

  test("takes its transaction with it, and the next user finds a fresh one at once", async () => {
    const broken = sql.begin(async (tx) => {
      await tx`insert into kept values ('broken')`;
      await tx`select pg_terminate_backend(pg_backend_pid())`;
    });

    await expect(broken).rejects.toThrow();
    await sql.begin((tx) => tx`insert into kept values ('next')`);
    expect(await kept()).toEqual(["next"]);
  }, 5000);

  test("ends the transaction that was between two statements, and none of its later ones is carried out", async () => {
    let goOn = () => {};
    const gate = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    let began: (pid: number) => void = () => {};
    const pid = new Promise<number>((resolve) => {
      began = resolve;
    });
    const late: unknown[] = [];
    const broken = sql.begin(async (tx) => {
      const [session] = await tx<{ pid: number }[]>`select pg_backend_pid() as pid`;
      began(session?.pid ?? 0);
      await gate;
      await tx`insert into kept values ('broken')`.catch((error) => late.push(error));
      await tx`insert into kept values ('broken again')`;
    });
    const refused = expect(broken).rejects.toThrow();
    await end(await pid);
    await refused;

    await sql.begin(async (tx) => {
      await tx`insert into kept values ('next')`;
      goOn();
      await expect.poll(() => late.length).toBe(1);
      await tx`insert into kept values ('next again')`;
    });

    expect(await kept()).toEqual(["next", "next again"]);
  }, 5000);

  test("answers the statement under way with an error, and the next one well", async () => {
    const asleep = expect(sql`select pg_sleep(30)`).rejects.toThrow();
    const pid = async () => {
      const [session] = await world.sql<{ pid: number }[]>`
        select pid from pg_stat_activity
        where datname = current_database() and query = 'select pg_sleep(30)' and state = 'active'`;
      return session?.pid ?? 0;
    };
    await expect.poll(pid).toBeGreaterThan(0);

    await end(await pid());

    await asleep;
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
  }, 5000);
});
