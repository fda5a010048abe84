import { Failure, type FailureRecord, recordOf } from "../contracts/failure.ts";
import { shardOf } from "../rules/shard.ts";
import { type Ending, lineNext } from "../store/attempts.ts";
import { cancelledOf } from "../store/cancels.ts";
import type { Database, Sql } from "../store/database.ts";
import { tell } from "../store/events.ts";
import { branchesOf, closeBranch } from "../store/joins.ts";
import { allRoles } from "../store/lanes.ts";
import { type Claimed, type Draft, insertMessages } from "../store/messages.ts";
import { endTrace } from "../store/traces.ts";
import type { Wake } from "../store/wake.ts";
import { follow, mustFit } from "./draft.ts";
import type { AnyHandler } from "./handler.ts";

/** How an attempt ended that did not end well. */
export type Verdict = Pick<Ending, "status" | "delayMs" | "blamed" | "failure" | "why">;

type Following = { sql: Database; handlers: AnyHandler[] };

/**
 * What else follows when a message has ended badly, in the same transaction: what its handler has for that case, or the
 * end of its branch, or the end of its trace. A handler whose answer to that is no good has none: it keeps nobody else
 * from ending.
 */
export async function afterEnd(
  tx: Sql,
  message: Claimed,
  { verdict, settling, news }: { verdict: Verdict; settling: Following; news: Wake },
): Promise<void> {
  if (verdict.status === "retry") {
    if (verdict.delayMs > 0) return;
    news.roles.push(`${message.service}.${message.role}`);
    news.look = true;
    return;
  }
  const fallback = verdict.status === "dead" ? await fallbackOf(tx, message, { verdict, settling }) : null;
  if (fallback) await publishPrepared(tx, [fallback], news);
  else if (message.joinId === null) await endTrace(tx, message.rootId, { failure: verdict.failure ?? lostFailure });
  await closed(tx, message, { more: fallback ? 1 : 0, news });
}

const lostFailure = recordOf(new Failure("internal", "the message ended without a reason"));

async function fallbackOf(
  tx: Sql,
  message: Claimed,
  { verdict: { failure }, settling: { sql, handlers } }: { verdict: Verdict; settling: Following },
): Promise<Draft | null> {
  const handler = handlers.find(({ role }) => role === `${message.service}.${message.role}`);
  const payload = handler?.onDead ? handler.accepts.safeParse(message.payload) : null;
  if (!handler?.onDead || !payload?.success || !failure) return null;
  try {
    const why = new Failure(failure.code, failure.message, failure.details);
    const next = handler.onDead({ ...message, payload: payload.data }, why);
    return next && (await follow(sql, message, next));
  } catch (error) {
    if (error instanceof Failure && error.code === "database_unavailable") throw error;
    const reason = error instanceof Error ? error.message : String(error);
    await tell(tx, message, { kind: "fallback_refused", worker: message.worker, details: { reason } });
    return null;
  }
}

/** Lets go of what depends on the end of a message: the next one in its line, and the join it is a branch of. */
export async function closed(tx: Sql, message: Claimed, { more, news }: { more: number; news: Wake }): Promise<void> {
  news.flows.push(...(await lineNext(tx, message)));
  if (message.joinId !== null) await closeJoin(tx, message.joinId, { more, news });
}

/**
 * Counts a branch of a join as ended, and `more` that follow from it; after the last one its `next` goes out. Branches
 * that have more to say than a message may be end the join as failed: its own branch, or its trace.
 */
export async function closeJoin(tx: Sql, joinId: string, { more, news }: { more: number; news: Wake }): Promise<void> {
  const next = await closeBranch(tx, joinId, more);
  if (!next) return;
  const payload = { ...asObject(next.payload), branches: await branchesOf(tx, joinId) };
  const refused = misfit(`${next.service}.${next.role}`, payload);
  if (!refused) await publishPrepared(tx, [{ ...next, payload }], news);
  else if (next.joinId !== null) await closeJoin(tx, next.joinId, { more: 0, news });
  else if (next.rootId !== null) await endTrace(tx, next.rootId, { failure: refused });
}

function misfit(to: string, payload: unknown): FailureRecord | null {
  try {
    mustFit(to, JSON.stringify(payload));
    return null;
  } catch (error) {
    if (error instanceof Failure) return recordOf(error);
    throw error;
  }
}

/**
 * Stores messages that were prepared a while ago: the number of shards of their roles may be another one now, and their
 * trace may have been called off since; then nothing follows.
 */
export async function publishPrepared(tx: Sql, drafts: Draft[], news: Wake): Promise<void> {
  const roots = drafts.flatMap(({ rootId }) => rootId ?? []);
  const off = new Set(await cancelledOf(tx, [...new Set(roots)]));
  const shards = new Map((await allRoles(tx)).map((role) => [`${role.service}.${role.role}`, role.shards]));
  const live = drafts.filter(({ rootId }) => rootId === null || !off.has(rootId));
  await publishIn(
    tx,
    live.map((draft) => {
      const count = shards.get(`${draft.service}.${draft.role}`);
      return { ...draft, shard: count ? shardOf(draft.orderKey ?? draft.tenant, count) : draft.shard };
    }),
    news,
  );
}

async function publishIn(tx: Sql, drafts: Draft[], news: Wake): Promise<void> {
  const stored = await insertMessages(tx, drafts);
  for (const { n, lane } of stored) {
    const draft = drafts[n];
    if (!draft) continue;
    news.roles.push(`${draft.service}.${draft.role}`);
    if (draft.delayMs > 0) news.look = true;
    else news.flows.push({ lane, priority: draft.priority, tenant: draft.tenant });
  }
}

function asObject(payload: unknown): Record<string, unknown> {
  return typeof payload === "object" && payload !== null && !Array.isArray(payload) ? { ...payload } : { payload };
}
