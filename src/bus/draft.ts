import { Failure } from "../contracts/failure.ts";
import { type Database, jsonText } from "../store/database.ts";
import type { Claimed, Draft } from "../store/messages.ts";
import type { Next } from "./handler.ts";
import { addressOf } from "./roles.ts";

/** The largest payload of a message, in bytes of JSON; more travels as an artifact. */
export const payloadCap = 262_144;

/** What waiting may add to a payload that is as large as one may be: what was asked, and the answer. In bytes. */
export const waitRoom = 32_768;

const yearMs = 31_536_000_000;

/** The usual priority: 0 can wait, 9 goes first. */
export const usualPriority = 5;

/** A message that follows from another, as it will be stored. Throws when it must not be. */
export async function follow(sql: Database, message: Claimed, next: Next, room = 0): Promise<Draft> {
  const { to, payload, intent, assignment, key, priority, ttlMs, delayMs, shardKey } = next;
  const body = jsonText(payload);
  mustFit(to, body, room);
  const orderKey = shardKey === undefined ? message.tenant : keyOfShard(shardKey);
  return {
    ...(await addressOf(sql, { to, key: orderKey })),
    tenant: message.tenant,
    intent: intent ?? message.intent,
    traceId: message.traceId,
    rootId: message.rootId,
    parentId: message.id,
    joinId: message.joinId,
    idempotencyKey: key === undefined ? message.idempotencyKey : visible(key),
    priority: inRange(priority ?? message.priority),
    orderKey,
    ttlMs: inFuture(ttlMs),
    expiresAt: message.expiresAt,
    delayMs: notBefore(delayMs),
    traceparent: null,
    assignment: assignment === undefined ? message.assignment : assignment,
    payload,
    body,
  };
}

/** Throws `payload_too_large` above the cap, and `room` above it. */
export function mustFit(to: string, json: string, room = 0): void {
  const bytes = Buffer.byteLength(json);
  if (bytes <= payloadCap + room) return;
  throw new Failure("payload_too_large", `the message to ${to} is ${bytes} bytes; ${payloadCap} is the most`);
}

/** Throws `invalid_message` for a key that is empty, longer than 220 characters, or has spaces or control characters. */
export function visible(key: string): string {
  if (/^[\x21-\x7e]{1,220}$/.test(key)) return key;
  throw new Failure("invalid_message", "an idempotency key is 1 to 220 visible ASCII characters");
}

/** Throws `priority_out_of_range` outside 0..9. */
export function inRange(priority: number): number {
  if (Number.isInteger(priority) && priority >= 0 && priority <= 9) return priority;
  throw new Failure("priority_out_of_range", `a priority is a whole number from 0 to 9, not ${priority}`);
}

/** Throws `delay_out_of_range` for a delay into the past, or of more than a year. */
export function notBefore(delayMs: number | undefined): number {
  if (delayMs === undefined) return 0;
  if (delayMs >= 0 && delayMs <= yearMs) return delayMs;
  throw new Failure("delay_out_of_range", `a delay is at least 0 ms and at most a year, not ${delayMs} ms`);
}

/** Throws `text_not_storable` for a shard key that Postgres does not keep, and `invalid_message` for a wrong length. */
export function keyOfShard(key: string): string {
  if (!key.isWellFormed() || key.includes("\0")) {
    throw new Failure("text_not_storable", "the shard key holds a NUL character or half of a surrogate pair");
  }
  if (key.length >= 1 && key.length <= 512) return key;
  throw new Failure("invalid_message", "a shard key is 1 to 512 characters");
}

/** Throws `ttl_out_of_range` for a time to live that is over already, or longer than a year. */
export function inFuture(ttlMs: number | undefined | null): number | null {
  if (ttlMs === undefined || ttlMs === null) return null;
  if (Number.isFinite(ttlMs) && ttlMs > 0 && ttlMs <= yearMs) return ttlMs;
  throw new Failure("ttl_out_of_range", `a time to live is more than 0 ms and at most a year, not ${ttlMs} ms`);
}
