import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { connect } from "../../src/store/database.ts";
import { startServer } from "../../src/store/embedded.ts";
import { migrate } from "../../src/store/migrations.ts";

declare module "vitest" {
  export interface ProvidedContext {
    databaseUrl: string;
  }
}

/** One real Postgres for the whole run, with a migrated template that each test file clones. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dir = await mkdtemp(join(tmpdir(), "dagent-test-"));
  const server = await startServer(dir);
  const admin = connect(server.url, { max: 1 });
  await admin`create database dagent_template`;
  const template = connect(databaseAt(server.url, "dagent_template"), { max: 1 });
  await migrate(template, "supabase/migrations");
  await template.end();
  await admin.end();
  project.provide("databaseUrl", server.url);

  return async () => {
    await server.stop();
    await rm(dir, { recursive: true, force: true });
    if (server.home.startsWith("/var/lib/dagent/")) await rm(server.home, { recursive: true, force: true });
  };
}

/** The same server, another database. */
export function databaseAt(url: string, name: string): string {
  const at = new URL(url);
  at.pathname = `/${name}`;
  return at.href;
}
