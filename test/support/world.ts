import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import type { Tools } from "../../src/bus/handler.ts";
import type { Settling } from "../../src/bus/settle.ts";
import type { Artifact } from "../../src/contracts/artifact.ts";
import { Failure } from "../../src/contracts/failure.ts";
import type { Log } from "../../src/contracts/log.ts";
import type { Message } from "../../src/contracts/message.ts";
import type { RetryPolicy } from "../../src/contracts/policy.ts";
import { connect, type Database } from "../../src/store/database.ts";
import { openUpload } from "../../src/store/uploads.ts";
import { databaseAt } from "./server.ts";

/** A log that keeps what it is told. */
export type KeptLog = Log & { lines: { level: string; fact: Record<string, unknown>; text: string }[] };

/** A world of one's own: a database cloned from the migrated template, a clock that stands still, an empty folder. */
export type World = {
  sql: Database;
  url: string;
  dir: string; // ARTIFACTS_BASE
  log: KeptLog;
  settling: Settling; // what the bus needs to settle
  kept: Artifact[]; // what handlers called with `tools` kept
  recorded: { kind: string; data: Record<string, unknown> }[];
  said: string[]; // what they told as status
  tools: Tools; // for a handler called without a worker
  now: Date; // the clock of `tools`
  moveClock(seconds: number): Promise<void>; // the clock of the database, from where it stands
  close(): Promise<void>;
};

export const policy: RetryPolicy = {
  default: { max_attempts: 3, base_ms: 1000, factor: 2, cap_ms: 60_000, jitter: 0 },
  keys: {},
};

export async function openWorld(): Promise<World> {
  const server = inject("databaseUrl");
  const name = `test_${randomUUID().replaceAll("-", "").slice(0, 16)}`;
  const admin = connect(server, { max: 1 });
  await admin.unsafe(`create database ${name} template dagent_template strategy wal_log`);
  const url = databaseAt(server, name);
  const sql = connect(url, { max: 8 });
  const dir = await mkdtemp(join(tmpdir(), "dagent-world-"));

  const now = new Date("2030-01-01T00:00:00Z");
  const kept: Artifact[] = [];
  const recorded: World["recorded"] = [];
  const said: string[] = [];
  let shiftS = 0;
  return {
    sql,
    url,
    dir,
    log: keepLog(),
    settling: { sql, artifactsBase: dir, policy: () => policy, chance: () => 0.5, handlers: [] },
    kept,
    recorded,
    said,
    now,
    tools: {
      sql,
      now: () => now,
      signal: new AbortController().signal,
      models: new Map(),
      sandbox: {
        run: async () => {
          throw new Failure("sandbox_unavailable", "this world has no sandbox");
        },
      },
      upload: (id) => openUpload(dir, { tenant: "local", id, now }),
      keep: async (artifact) => void kept.push(artifact),
      reserve: async ({ tokens }) => ({ tokens }),
      spend: () => {},
      status: async (text) => void said.push(text),
      record: (kind, data) => void recorded.push({ kind, data }),
    },
    async moveClock(seconds) {
      shiftS += seconds;
      await sql.unsafe(`
        create or replace function bus_now() returns timestamptz language sql stable
        as $$ select pg_catalog.statement_timestamp() + interval '${shiftS} seconds' $$`);
    },
    async close() {
      await sql.end({ timeout: 5 });
      await admin.unsafe(`drop database ${name} with (force)`);
      await admin.end();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** A message for a handler that is called without a worker. */
export function message<Payload>(payload: Payload, rest: Partial<Message> = {}): Message<Payload> {
  return {
    id: "1",
    service: "orchestrator",
    role: "decide",
    shard: 0,
    tenant: "local",
    intent: "chat",
    traceId: randomUUID(),
    rootId: "1",
    parentId: null,
    joinId: null,
    idempotencyKey: "order-1",
    priority: 5,
    orderKey: null,
    expiresAt: null,
    traceparent: null,
    assignment: null,
    attempts: 1,
    createdAt: new Date("2030-01-01T00:00:00Z"),
    ...rest,
    payload,
  };
}

function keepLog(): KeptLog {
  const lines: KeptLog["lines"] = [];
  const at = (level: string) => (fact: Record<string, unknown>, text: string) => void lines.push({ level, fact, text });
  return { lines, info: at("info"), warn: at("warn"), error: at("error") };
}
