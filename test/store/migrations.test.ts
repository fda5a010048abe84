import { randomUUID } from "node:crypto";
import { cp, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { connect, type Database } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrations.ts";
import { databaseAt } from "../support/server.ts";

describe("migrating", () => {
  const name = `migrate_${randomUUID().slice(0, 8)}`;
  let admin: Database;
  let sql: Database;
  let folder: string;
  beforeAll(async () => {
    admin = connect(inject("databaseUrl"), { max: 1 });
    await admin.unsafe(`create database ${name}`);
    sql = connect(databaseAt(inject("databaseUrl"), name), { max: 6 });
    folder = await mkdtemp(join(tmpdir(), "dagent-migrations-"));
    await cp("supabase/migrations", folder, { recursive: true });
  });
  afterAll(async () => {
    await sql.end();
    await admin.unsafe(`drop database ${name} with (force)`);
    await admin.end();
    await rm(folder, { recursive: true, force: true });
  });

  test("runs every file once, also when several processes begin at the same time", async () => {
    const files = (await readdir(folder)).sort();

    const ran = await Promise.all([migrate(sql, folder), migrate(sql, folder), migrate(sql, folder)]);

    expect(ran.flat().sort()).toEqual(files);
    expect(await migrate(sql, folder)).toEqual([]);
  });

  test("each file has a number of its own: Supabase knows them by it", async () => {
    const numbers = (await readdir(folder)).map((file) => file.split("_")[0]);

    expect(new Set(numbers).size).toBe(numbers.length);
  });

  test("a file that fails leaves nothing behind and is named", async () => {
    await writeFile(join(folder, "20990101000000_broken.sql"), "create table half (id int); select nonsense;");

    await expect(migrate(sql, folder)).rejects.toThrow(/20990101000000_broken.sql/);

    expect(await sql`select to_regclass('half') as half`).toEqual([{ half: null }]);
  });

  test("every table is closed to everybody but its owner", async () => {
    const open = await sql`
      select relname from pg_class
      where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace and not relrowsecurity`;

    expect(open).toEqual([]);
    expect(await sql`select policyname from pg_policies where schemaname = 'public'`).toEqual([]);
  });
});
