import { createHash } from "node:crypto";
import { Failure } from "../contracts/failure.ts";
import type { Intent } from "../contracts/message.ts";
import { shardOf } from "../rules/shard.ts";
import type { Database } from "../store/database.ts";
import { insertMessages } from "../store/messages.ts";
import { openTrace } from "../store/traces.ts";
import { wake } from "../store/wake.ts";

/** Lanes per role. One key is always on one lane; the tenant is the key. */
export const shards = 4;

/** The largest payload of a message, in bytes of JSON; more travels as an artifact. */
export const payloadCap = 262_144;

export type Request = {
  to: string; // 'chat.ask'
  tenant: string;
  intent: Intent;
  payload: unknown;
  traceId: string; // taken when the request is new
  idempotencyKey: string;
  traceparent: string | null;
};

/**
 * Lets a request in: one trace, one message, one event, in one transaction.
 * The same key with the same request answers the first trace (`fresh` false); with another request it throws
 * `idempotency_conflict`. Throws `payload_too_large` above the cap.
 */
export async function publish(sql: Database, request: Request): Promise<{ traceId: string; fresh: boolean }> {
  const { to, tenant, intent, payload, idempotencyKey, traceparent } = request;
  const body = JSON.stringify(payload);
  if (Buffer.byteLength(body) > payloadCap) {
    throw new Failure(
      "payload_too_large",
      `the request is ${Buffer.byteLength(body)} bytes; ${payloadCap} is the most`,
    );
  }
  const requestHash = createHash("sha256").update(`${to}\n${intent}\n${body}`).digest("hex");
  const [service = "", role = ""] = to.split(".");

  const trace = await sql.begin(async (tx) => {
    const opened = await openTrace(tx, { ...request, traceId: request.traceId, requestHash, traceparent });
    if (opened.fresh) {
      const shard = shardOf(tenant, shards);
      const traceId = opened.traceId;
      await insertMessages(tx, [
        { service, role, shard, tenant, intent, traceId, parentId: null, idempotencyKey, assignment: null, payload },
      ]);
    }
    return opened;
  });
  if (trace.requestHash !== requestHash) {
    throw new Failure("idempotency_conflict", "this idempotency key was used for another request; take a new one", {
      first_trace_id: trace.traceId,
    });
  }
  if (trace.fresh) await wake(sql, { roles: [to], traces: [] });
  return { traceId: trace.traceId, fresh: trace.fresh };
}
