import { jsonText, type Part, part } from "./database.ts";
import type { Claimed } from "./messages.ts";

/** A fact to append with a settlement: an event of the role's own kind. */
export type Fact = { kind: string; data: Record<string, unknown> };

/** Facts of one message as rows for insertFacts. */
export function factRows(message: Claimed, facts: Fact[]) {
  return facts.map(({ kind, data }) => ({
    kind,
    service: message.service,
    role: message.role,
    shard: message.shard,
    tenant: message.tenant,
    intent: message.intent,
    trace_id: message.traceId,
    message_id: message.id,
    idempotency_key: message.idempotencyKey,
    attempts: message.attempts,
    agent_id: message.assignment?.agent_id ?? null,
    agent_version: message.assignment?.agent_version ?? null,
    canary: message.assignment?.canary ?? false,
    details: data,
  }));
}

/** An insert whose `f` may still be restricted. `kind` is how all of them are called, unless each says it. */
export function insertFacts(rows: ReturnType<typeof factRows>, worker: string | null, kind: Part = part`f.kind`): Part {
  return part`
      insert into bus_facts (kind, service, role, shard, tenant, intent, trace_id, message_id, idempotency_key,
                             attempts, worker, agent_id, agent_version, canary, details)
      select ${kind}, service, role, shard, tenant, intent, trace_id, message_id, idempotency_key,
             attempts, ${worker}, agent_id, agent_version, canary, details
      from jsonb_to_recordset(${jsonText(rows)}::text::jsonb) as f(
        kind text, service text, role text, shard smallint, tenant text, intent text, trace_id uuid, message_id bigint,
        idempotency_key text, attempts smallint, agent_id text, agent_version text, canary boolean, details jsonb)`;
}
