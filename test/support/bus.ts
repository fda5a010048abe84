import { randomUUID } from "node:crypto";
import type { Request } from "../../src/bus/publish.ts";
import type { Address, Taken } from "../../src/store/claims.ts";
import type { Database } from "../../src/store/database.ts";
import { flowsOn, promote } from "../../src/store/flows.ts";
import { declareRoles } from "../../src/store/lanes.ts";
import { step } from "../../src/store/step.ts";

/** Makes roles known, as a worker that plays them would. */
export async function declare(sql: Database, ...roles: string[]): Promise<void> {
  await declareRoles(
    sql,
    roles.map((role) => ({ role, shards: null, ordered: false })),
  );
}

/** A request as a caller might make it, with a trace and a key of its own. */
export function requestFor(own: Partial<Request> = {}): Request {
  return {
    to: "chat.ask",
    tenant: "local",
    intent: "chat",
    payload: {},
    traceId: randomUUID(),
    idempotencyKey: randomUUID(),
    traceparent: null,
    ...own,
  };
}

/** Takes due messages of these roles, as a worker would. */
export async function claim(
  sql: Database,
  { roles, worker = "w1", limit, leaseMs }: { roles: string[]; worker?: string; limit: number; leaseMs: number },
): Promise<Taken[]> {
  const lanes = await sql<(Address & { id: number })[]>`
    select id, service, role, shard from bus_lanes where service || '.' || role = any (${roles})`;
  const ids = lanes.map(({ id }) => id);
  await promote(sql, ids);
  const flows = await flowsOn(sql, ids);
  const asked = flows.map((flow) => ({ ...flow, most: limit, rows: limit, low: "0" }));
  return (
    await step(sql, {
      worker,
      done: [],
      packs: [],
      freed: [],
      asked,
      limit,
      own: false,
      lanes: new Map(lanes.map((lane) => [lane.id, lane])),
      leaseMs,
    })
  ).taken;
}
