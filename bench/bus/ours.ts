import { randomUUID } from "node:crypto";
import { migrationsFolder, version } from "../../src/app/paths.ts";
import { publish, publishAll, type Request } from "../../src/bus/publish.ts";
import { Failure } from "../../src/contracts/failure.ts";
import { traceIdAt } from "../../src/rules/traceid.ts";
import { connect, type Database } from "../../src/store/database.ts";
import { declareRoles } from "../../src/store/lanes.ts";
import { migrate } from "../../src/store/migrations.ts";
import { role, startEcho } from "./echo.ts";
import type { Body, System } from "./system.ts";

const concurrency = 4000;
const pool = 4;

/** Messages come from several tenants in turn; the bus is fair to them. */
export const tenants = ["acme", "bell", "cord", "dune", "east", "fern", "glen", "hill"];

/** Where messages go, when it matters. */
export type Lane = Pick<Request, "to" | "tenant" | "shard">;

/** Brings a database to the newest schema, with tenants and roles. */
export async function prepareOurs(url: string, roles: string[] = [role]): Promise<void> {
  const sql = connect(url, { max: 1 });
  await migrate(sql, migrationsFolder);
  await sql`insert into tenants (id) select unnest(${tenants}::text[])`;
  await declareRoles(
    sql,
    roles.map((name) => ({ role: name, shards: null, ordered: false })),
  );
  await sql.end();
}

/** Publishes messages in one call: each a request of its own, with a trace, a key that makes it idempotent, and its event. */
export async function putBatch(sql: Database, bodies: Body[], lane?: Lane): Promise<void> {
  for (const published of await publishAll(
    sql,
    bodies.map((body) => requestOf(body, lane)),
  )) {
    if (published instanceof Failure) throw published;
  }
}

/** Publishes one message, as the gateway does. */
export async function putSingle(sql: Database, body: Body, lane?: Lane): Promise<void> {
  await publish(sql, requestOf(body, lane));
}

function requestOf(body: Body, lane?: Lane): Request {
  return {
    to: role,
    tenant: tenants[body.n % tenants.length] ?? "local",
    intent: "chat",
    payload: body,
    traceId: traceIdAt(Date.now(), randomUUID()), // as the gateway makes them
    idempotencyKey: `bench-${body.n}`,
    traceparent: null,
    ...lane,
  };
}

/** The bus of this repository: idempotent, with leases, traces, and an event for each transition. */
export const ours: System = {
  version,
  settings: { concurrency, pool, lease_ms: 30_000, poll_ms: 1000, tenants: tenants.length, shards: 4 },
  prepare: (url) => prepareOurs(url),

  async client(url, inFlight) {
    const sql = connect(url, { max: inFlight });
    return {
      batch: (bodies) => putBatch(sql, bodies),
      single: (body) => putSingle(sql, body),
      async left() {
        const [row] = await sql`select 1 where exists (select from bus_queue) or exists (select from bus_held)`;
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
