import { randomUUID } from "node:crypto";
import { migrationsFolder, version } from "../../src/app/paths.ts";
import { publish } from "../../src/bus/publish.ts";
import { Failure } from "../../src/contracts/failure.ts";
import { connect, type Database } from "../../src/store/database.ts";
import { insertMessages } from "../../src/store/messages.ts";
import { migrate } from "../../src/store/migrations.ts";
import { openTrace } from "../../src/store/traces.ts";
import { wake } from "../../src/store/wake.ts";
import { role, startEcho } from "./echo.ts";
import type { Body, System } from "./system.ts";

const concurrency = 200;
const pool = 8;

/** Where messages go: a role, a lane, and whose they are. */
export type Lane = { to: string; shard: number; tenant: string };
const lane: Lane = { to: role, shard: 0, tenant: "local" };

/** Brings an empty database to the newest schema. */
export async function prepareOurs(url: string, tenants: string[] = []): Promise<void> {
  const sql = connect(url, { max: 1 });
  await migrate(sql, migrationsFolder);
  await sql`insert into tenants (id) select unnest(${tenants}::text[])`;
  await sql.end();
}

/** Publishes messages in one call: idempotent, each with its event; wakes the workers after the commit. */
export async function putBatch(sql: Database, bodies: Body[], { to, shard, tenant }: Lane = lane): Promise<void> {
  const traceId = randomUUID();
  const [service = "", step = ""] = to.split(".");
  await sql.begin(async (tx) => {
    await openTrace(tx, {
      traceId,
      tenant,
      intent: "chat",
      idempotencyKey: `bench-${traceId}`,
      requestHash: traceId,
      traceparent: null,
    });
    const same = {
      service,
      role: step,
      shard,
      tenant,
      intent: "chat",
      traceId,
      parentId: null,
      assignment: null,
    } as const;
    await insertMessages(
      tx,
      bodies.map((payload) => ({ ...same, idempotencyKey: `bench-${payload.n}`, payload })),
    );
  });
  await wake(sql, { roles: [to], traces: [] });
}

/** Publishes one message, as the gateway does. */
export async function putSingle(sql: Database, payload: Body, tenant = "local"): Promise<void> {
  await publish(sql, {
    to: role,
    tenant,
    intent: "chat",
    payload,
    traceId: randomUUID(),
    idempotencyKey: `bench-${payload.n}`,
    traceparent: null,
  });
}

/** The bus of this repository: idempotent, with leases, traces, and an event for each transition. */
export const ours: System = {
  version,
  settings: { concurrency, pool, lease_ms: 30_000, poll_ms: 1000 },
  prepare: prepareOurs,

  async client(url, inFlight) {
    const sql = connect(url, { max: inFlight });
    return {
      batch: (bodies) => putBatch(sql, bodies),
      single: (body) => putSingle(sql, body),
      async left() {
        const [row] = await sql`select 1 where exists (select from bus_queue) or exists (select from bus_leases)`;
        return row !== undefined;
      },
      close: () => sql.end(),
    };
  },

  async work(url, begun) {
    const sql = connect(url, { max: pool });
    await startEcho({ sql, name: `bench-${process.pid}`, concurrency, leaseMs: 30_000 }, ({ payload }) =>
      begun(payload.n),
    );
  },

  async check(url, messages) {
    const sql = connect(url, { max: 1 });
    const rows = await sql<{ kind: string; messages: number }[]>`
      select kind, count(distinct message_id)::int as messages from bus_events group by kind`;
    await sql.end();
    const told = new Map(rows.map((row) => [row.kind, row.messages]));
    for (const what of ["accepted", "acked", "done"]) {
      const there = told.get(`bench_${what}`) ?? 0;
      if (there < messages) throw new Failure("internal", `${there} of ${messages} messages have a ${what} event`);
    }
  },
};
