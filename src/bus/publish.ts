import { hash } from "node:crypto";
import { Failure } from "../contracts/failure.ts";
import type { Intent } from "../contracts/message.ts";
import { type Database, isStorable } from "../store/database.ts";
import { type Flow, insertRoots, knownKey, type Lanes, type Root } from "../store/messages.ts";
import { wake } from "../store/wake.ts";
import { inFuture, inRange, keyOfShard, mustFit, notBefore, usualPriority, visible } from "./draft.ts";
import { type Address, addressOf, forgetRoles } from "./roles.ts";

export type Request = {
  to: string; // 'chat.ask'
  tenant: string;
  intent: Intent;
  payload: unknown;
  traceId: string; // taken when the request is new
  idempotencyKey: string;
  traceparent: string | null;
  priority?: number; // 0..9, 9 goes first; 5 unless given
  ttlMs?: number; // not ended by then: expired
  delayMs?: number; // not before then
  shardKey?: string; // what chooses the shard, and keeps order in an ordered role; the tenant unless given
  shard?: number; // the shard itself; refused when the role does not have it
};

export type Published = { traceId: string; fresh: boolean };

/** How long the key of a request is remembered. */
const keyTtlMs = 7 * 86_400_000;

/**
 * Lets a request in: its message, its key and its place in the queue, in one statement.
 * The same key with the same request answers the first trace (`fresh` false); with another request it throws
 * `idempotency_conflict`, and `conflict` when a trace id that came in a traceparent belongs to another request.
 * Throws `payload_too_large`, `unknown_role`, `unknown_tenant`, `shard_out_of_range`, `priority_out_of_range`,
 * `ttl_out_of_range`, `delay_out_of_range` and `text_not_storable`; then nothing was written.
 */
export async function publish(sql: Database, request: Request): Promise<Published> {
  const [published] = await publishAll(sql, [request]);
  if (published instanceof Failure) throw published;
  if (!published) throw new Error("one request has one answer");
  return published;
}

/**
 * Lets many requests in, all that are new in one statement. Answers each at its place; a failure of one is an answer
 * and keeps no other out, unless it is of a kind that refuses the list: a shape that no request may have.
 */
export async function publishAll(sql: Database, requests: Request[]): Promise<(Published | Failure)[]> {
  const roots = await rootsOf(sql, requests);
  const others = underWay.get(sql) ?? 0;
  const tells = others === 0 && requests.length === 1;
  underWay.set(sql, others + 1);
  const lanes = await (tells ? insert(sql, requests, { roots, tells }) : insertAll(sql, requests, roots)).finally(() =>
    underWay.set(sql, (underWay.get(sql) ?? 1) - 1),
  );
  if (!tells) tellAll(sql, roots, lanes);
  const answers: (Published | Failure)[] = roots.map(({ traceId }) => ({ traceId, fresh: true }));
  const known = roots.flatMap((root, n) => (lanes[n] === undefined ? { root, n } : []));
  await Promise.all(known.map(async ({ root, n }) => (answers[n] = await firstOf(sql, root))));
  return answers;
}

/** How many are publishing in this process just now. */
const underWay = new WeakMap<Database, number>();

/** From so many on, they are stored in two statements side by side. */
const splitFrom = 200;
/** What begins while the other is made has more to do, so that both end together. */
const headShare = 0.6;

async function insertAll(sql: Database, requests: Request[], roots: Root[]): Promise<Lanes> {
  const keys = new Set(roots.map(({ idempotencyKey }) => idempotencyKey));
  // Two statements with one key would wait for each other.
  if (requests.length < splitFrom || keys.size < roots.length) return insert(sql, requests, { roots, tells: false });
  const head = Math.ceil(requests.length * headShare);
  const one = insert(sql, requests.slice(0, head), { roots: roots.slice(0, head), tells: false });
  one.catch(() => {}); // it is waited for below
  await new Promise(setImmediate); // it goes out before the other is made
  const other = insert(sql, requests.slice(head), { roots: roots.slice(head), tells: false });
  const [first, second] = await Promise.all([one, other]);
  return [...first, ...second];
}

async function insert(
  sql: Database,
  requests: Request[],
  { roots, tells }: { roots: Root[]; tells: boolean },
): Promise<Lanes> {
  try {
    return await insertRoots(sql, hashed(roots), tells);
  } catch (error) {
    // The number of shards may have become smaller since we looked.
    if (!(error instanceof Failure) || error.code !== "unknown_role") throw error;
    forgetRoles(sql);
    return insertRoots(sql, hashed(await rootsOf(sql, requests)), tells);
  }
}

async function firstOf(sql: Database, root: Root): Promise<Published | Failure> {
  const { tenant, service, role, idempotencyKey, traceId, requestHash } = root;
  const first = await knownKey(sql, { tenant, to: `${service}.${role}`, key: idempotencyKey });
  if (!first) return new Failure("conflict", `the trace id ${traceId} belongs to another request`);
  if (first.requestHash === requestHash) return { traceId: first.traceId, fresh: false };
  return new Failure("idempotency_conflict", "this idempotency key was used for another request; take a new one", {
    first_trace_id: first.traceId,
  });
}

async function rootsOf(sql: Database, requests: Request[]): Promise<Root[]> {
  const roots: Root[] = [];
  const addresses = new Map<string, Map<string, Address>>(); // by role and the shard asked for, then by key
  for (const request of requests) {
    const { to, tenant, shard, shardKey } = request;
    const key = shardKey ?? tenant;
    const place = shard === undefined ? to : `${to} ${shard}`;
    const known = addresses.get(place) ?? new Map<string, Address>();
    const address = known.get(key) ?? (await addressOf(sql, { to, key, shard }));
    addresses.set(place, known.set(key, address));
    roots.push(rootOf(request, address));
  }
  return roots;
}

function rootOf(request: Request, { service, role, shard }: Address): Root {
  const { to, tenant, intent, payload, traceparent, idempotencyKey, traceId } = request;
  const body = JSON.stringify(payload ?? null);
  mustFit(to, body);
  if (!isStorable(body)) {
    throw new Failure("text_not_storable", "the request holds a NUL character or half of a surrogate pair", {
      errors: [{ in: "body", path: placeOf(payload), message: "holds NUL or half of a surrogate pair" }],
    });
  }
  const orderKey = request.shardKey === undefined ? tenant : keyOfShard(request.shardKey);
  return {
    service,
    role,
    shard,
    tenant,
    intent,
    traceId,
    rootId: null,
    parentId: null,
    joinId: null,
    idempotencyKey: visible(idempotencyKey),
    priority: inRange(request.priority ?? usualPriority),
    orderKey,
    ttlMs: inFuture(request.ttlMs),
    expiresAt: null,
    delayMs: notBefore(request.delayMs),
    traceparent,
    assignment: null,
    payload,
    body,
    requestHash: "", // see hashed
    keyTtlMs,
    claimsTrace: traceparent !== null,
  };
}

/** Hashes are made as late as they are needed: while the first half of a list is on its way to the server. */
function hashed(roots: Root[]): Root[] {
  for (const root of roots) {
    const { service, role, intent, body } = root;
    root.requestHash = hash("sha256", `${service}.${role}\n${intent}\n${body}`);
  }
  return roots;
}

/** Where the text is that cannot be stored, as a JSON pointer. */
function placeOf(value: unknown, path = ""): string {
  if (typeof value === "string") return path || "/";
  if (typeof value !== "object" || value === null) return "";
  for (const [key, inner] of Object.entries(value)) {
    if (!isStorable(JSON.stringify(key))) return `${path}/`;
    if (!isStorable(JSON.stringify(inner) ?? "")) return placeOf(inner, `${path}/${key}`);
  }
  return path || "/";
}

const flowsMax = 32; // more do not fit into a wake-up; workers look for themselves then

/** The wake-up for what was stored: roles, and where the messages wait that are due. */
function tellAll(sql: Database, roots: Root[], lanes: Lanes): void {
  const roles = new Set<string>();
  const flows: Flow[] = [];
  let last: Root | undefined;
  for (const [n, root] of roots.entries()) {
    const lane = lanes[n];
    if (lane === undefined) continue;
    if (root.role !== last?.role || root.service !== last.service) roles.add(`${root.service}.${root.role}`);
    last = root;
    const { priority, tenant, delayMs } = root;
    if (delayMs > 0 || flows.length > flowsMax) continue;
    if (!flows.some((flow) => flow.lane === lane && flow.tenant === tenant && flow.priority === priority)) {
      flows.push({ lane, priority, tenant });
    }
  }
  if (roles.size > 0) void wake(sql, { roles: [...roles], traces: [], flows: flows.length > flowsMax ? [] : flows });
}
