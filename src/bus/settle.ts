import { asFailure, Failure, type FailureCode, failures, recordOf } from "../contracts/failure.ts";
import type { RetryPolicy } from "../contracts/policy.ts";
import { judge, ruleFor } from "../rules/retry.ts";
import { dropStaged, keepStaged, type Staged } from "../store/artifacts.ts";
import { type Ending, endBadly, lineNext } from "../store/attempts.ts";
import { closeReservations } from "../store/budgets.ts";
import type { Database, Sql } from "../store/database.ts";
import { tell, tellMany } from "../store/events.ts";
import type { Fact } from "../store/facts.ts";
import { branchesOf, closeBranch, openJoin } from "../store/joins.ts";
import { hold, lapsed } from "../store/leases.ts";
import { type Claimed, type Draft, insertMessages } from "../store/messages.ts";
import { type Done, step } from "../store/step.ts";
import { endTrace } from "../store/traces.ts";
import { openWait } from "../store/waits.ts";
import { type Wake, wake } from "../store/wake.ts";
import { type Aside, closeAside } from "./budget.ts";
import { follow, mustFit, waitRoom } from "./draft.ts";
import type { AnyHandler, Outcome } from "./handler.ts";

/** What an attempt left behind besides its outcome; written with the settlement, or thrown away with it. */
export type Left = { staged: Staged[]; records: Fact[]; aside?: Aside };

export type Settling = {
  sql: Database;
  artifactsBase: string;
  policy: () => RetryPolicy;
  chance: () => number;
  handlers: AnyHandler[];
};

/**
 * The follow-ups of an outcome, checked. Throws when one of them must not be published, or when the step neither goes
 * on nor answers: then nothing of the attempt was written.
 */
export async function doneOf(
  sql: Database,
  message: Claimed,
  { outcome, records }: { outcome: Outcome<unknown>; records: Fact[] },
): Promise<Done> {
  const { result, answer = null, next = [] } = outcome;
  if (next.length === 0) return lastOf(message, outcome, records);
  const seen = new Set<string>();
  for (const { to, key = "" } of next) {
    if (seen.has(`${to} ${key}`)) throw new Failure("internal", `two follow-ups to ${to} need keys of their own`);
    seen.add(`${to} ${key}`);
  }
  return { message, result, answer, records, next: await Promise.all(next.map((one) => follow(sql, message, one))) };
}

/** The same of an outcome without follow-ups. */
export function lastOf(message: Claimed, outcome: Outcome<unknown>, records: Fact[]): Done {
  const { result, wait, answer = null } = outcome;
  if (answer || wait || message.joinId !== null) return { message, result, answer, records, next: [] };
  throw new Failure("internal", `${message.service}.${message.role} neither went on nor answered`);
}

/** Whether an attempt can be settled together with others, in one statement. What needs more has its own transaction. */
export function isPlain(
  message: Claimed,
  outcome: Outcome<unknown>,
  { staged, aside }: Pick<Left, "staged" | "aside">,
): boolean {
  return (
    staged.length === 0 &&
    !aside &&
    !outcome.join &&
    !outcome.wait &&
    message.joinId === null &&
    message.orderKey === null
  );
}

/**
 * Ends an attempt well: result, events, files, all `next` messages, joins, waits and the end of the trace in one
 * transaction. Throws `lease_lost` when the message is no longer ours, and then nothing of the attempt remains.
 */
export async function settleDone(
  { sql, artifactsBase }: Settling,
  message: Claimed,
  { outcome, staged, records, aside }: Left & { outcome: Outcome<unknown> },
): Promise<void> {
  const done = await doneOf(sql, message, { outcome, records });
  const joined = outcome.join ? await follow(sql, message, outcome.join) : null;
  const waits = outcome.wait ? await waitOf(sql, message, outcome.wait) : null;
  const news = newsOf(message);
  await aside?.made;
  await sql.begin(async (tx) => {
    await mustHold(tx, message, staged);
    await keepStaged(tx, artifactsBase, staged);
    await closeAside(tx, message, aside);
    const joinId = joined ? await openJoin(tx, { parentId: message.id, open: done.next.length, next: joined }) : null;
    const next = joinId ? done.next.map((draft) => ({ ...draft, joinId })) : done.next;
    await step(tx, {
      worker: message.worker,
      done: [{ ...done, next }],
      packs: [],
      freed: [],
      asked: [],
      limit: 0,
      own: true,
      lanes: new Map(),
      leaseMs: 0,
    });
    if (waits) {
      const { id, expiresAt } = await openWait(tx, waits);
      const details = { wait_id: id, expires_at: expiresAt.toISOString(), asked: waits.asked };
      await tell(tx, message, { kind: `${waits.kind}_asked`, worker: message.worker, details });
    }
    addFlows(news, next);
    // Behind a join or a wait, one message will follow: the branch is as long as it was.
    const more = joined || waits ? 1 : next.length;
    await closed(tx, message, { more, news });
  });
  await wake(sql, news);
}

/**
 * Ends an attempt badly: tried again after a delay, or dead, expired or cancelled, and with it its branch or its trace,
 * unless its handler has something else for that case. The files the handler kept (an error report, a log) stay.
 * Throws `lease_lost` like settleDone. Answers how long a retry waits; null: there is none.
 */
export async function settleFailed(
  settling: Settling,
  message: Claimed,
  { thrown, staged, records, aside }: Left & { thrown: unknown },
): Promise<number | null> {
  const { sql, artifactsBase } = settling;
  const news = newsOf(message);
  const verdict = verdictOf(settling, message, asFailure(thrown));
  await aside?.made;
  await sql.begin(async (tx) => {
    const claimedAt = await mustHold(tx, message, staged);
    await keepStaged(tx, artifactsBase, staged);
    await closeAside(tx, message, aside);
    if (records.length > 0) await tellMany(tx, message, records);
    await endBadly(tx, [{ ...verdict, message, was: "held", worker: message.worker, claimedAt }]);
    await afterEnd(tx, message, { verdict, settling, news });
  });
  await wake(sql, news);
  return verdict.status === "retry" ? verdict.delayMs : null;
}

/** Gives a message back untouched: the worker is stopping. The attempt counts, because it was begun. */
export async function giveBack({ sql }: Settling, message: Claimed): Promise<void> {
  const news = newsOf(message);
  await sql.begin(async (tx) => {
    const held = await hold(tx, message);
    if (!held) return;
    const verdict = { status: "retry", delayMs: 0, blamed: false, failure: null, why: "the worker stopped" } as const;
    await endBadly(tx, [{ ...verdict, message, was: "held", worker: message.worker, claimedAt: held.claimedAt }]);
    await closeReservations(tx, [{ id: message.id, figure: null }]);
    news.flows.push({ lane: message.lane, priority: message.priority, tenant: message.tenant });
  });
  await wake(sql, news);
}

/**
 * Settles the messages of our roles whose lease ran out, as lost with their worker. A message that kills its worker
 * again and again runs out of attempts and becomes a dead letter. Answers how many there were.
 */
export async function settleLapsed(settling: Settling, limit = 200): Promise<number> {
  const roles = settling.handlers.map(({ role }) => role);
  const news: Wake = { roles: [], traces: [], flows: [] };
  const lost = await settling.sql.begin(async (tx) => {
    const messages = await lapsed(tx, roles, limit);
    const failure = new Failure("worker_lost", "the lease ran out: the worker died or lost its connection");
    const verdicts = messages.map((message) => ({ message, verdict: verdictOf(settling, message, failure) }));
    await endBadly(
      tx,
      verdicts.map(({ message, verdict }) => ({
        ...verdict,
        message,
        was: "held" as const,
        worker: message.worker,
        claimedAt: message.claimedAt,
      })),
    );
    await closeReservations(
      tx,
      messages.map(({ id }) => ({ id, figure: null })),
    );
    for (const { message, verdict } of verdicts) {
      await afterEnd(tx, message, { verdict, settling, news });
      news.traces.push(message.traceId);
    }
    return messages.length;
  });
  if (lost > 0) await wake(settling.sql, news);
  return lost;
}

/** Ends that leave no dead letter: somebody or time has said that it shall not be. */
const endsOf: { [Code in FailureCode]?: "expired" | "cancelled" } = {
  expired: "expired",
  cancelled: "cancelled",
  approval_refused: "cancelled",
  approval_expired: "cancelled",
};

export type Verdict = Pick<Ending, "status" | "delayMs" | "blamed" | "failure" | "why">;

function verdictOf({ policy, chance }: Settling, message: Claimed, failure: Failure): Verdict {
  const record = recordOf(failure);
  const calledOff = endsOf[failure.code];
  if (calledOff) return { status: calledOff, delayMs: 0, blamed: false, failure: record, why: null };
  const { blame } = failures[failure.code];
  const blamed = blame === "agent" || blame === "system";
  const verdict = judge(failure, ruleFor(policy(), message), { attempts: message.attempts, chance: chance() });
  if (!verdict.again) return { status: "dead", delayMs: 0, blamed, failure: record, why: verdict.why };
  return { status: "retry", delayMs: verdict.delayMs, blamed, failure: record, why: null };
}

/**
 * What else follows when a message has ended badly, in the same transaction: what its handler has for that case, or the
 * end of its branch, or the end of its trace.
 */
export async function afterEnd(
  tx: Sql,
  message: Claimed,
  { verdict, settling, news }: { verdict: Verdict; settling: Settling; news: Wake },
): Promise<void> {
  if (verdict.status === "retry") {
    if (verdict.delayMs <= 0) addFlows(news, [message]);
    return;
  }
  const fallback = verdict.status === "dead" ? await fallbackOf(settling, message, verdict) : null;
  if (fallback) await publishIn(tx, [fallback], news);
  else if (message.joinId === null) await endTrace(tx, message.rootId, { failure: verdict.failure ?? lostFailure });
  await closed(tx, message, { more: fallback ? 1 : 0, news });
}

const lostFailure = recordOf(new Failure("internal", "the message ended without a reason"));

async function fallbackOf({ sql, handlers }: Settling, message: Claimed, { failure }: Verdict): Promise<Draft | null> {
  const handler = handlers.find(({ role }) => role === `${message.service}.${message.role}`);
  const payload = handler?.onDead ? handler.accepts.safeParse(message.payload) : null;
  if (!handler?.onDead || !payload?.success || !failure) return null;
  const why = new Failure(failure.code, failure.message, failure.details);
  const next = handler.onDead({ ...message, payload: payload.data }, why);
  return next && follow(sql, message, next);
}

/** Lets go of what depends on the end of a message: the next one in its line, and the join it is a branch of. */
async function closed(tx: Sql, message: Claimed, { more, news }: { more: number; news: Wake }): Promise<void> {
  news.flows.push(...(await lineNext(tx, message)));
  if (message.joinId === null) return;
  const next = await closeBranch(tx, message.joinId, more);
  if (!next) return;
  const branches = await branchesOf(tx, message.joinId);
  const payload = { ...asObject(next.payload), branches };
  mustFit(`${next.service}.${next.role}`, JSON.stringify(payload));
  await publishIn(tx, [{ ...next, payload }], news);
}

/** Stores messages in a transaction under way, and notes where they are for the wake-up after it. */
export async function publishIn(tx: Sql, drafts: Draft[], news: Wake): Promise<void> {
  const stored = await insertMessages(tx, drafts);
  for (const { n, lane } of stored) {
    const draft = drafts[n];
    if (!draft) continue;
    news.roles.push(`${draft.service}.${draft.role}`);
    if (draft.delayMs <= 0) news.flows.push({ lane, priority: draft.priority, tenant: draft.tenant });
  }
}

async function waitOf(sql: Database, message: Claimed, wait: NonNullable<Outcome<unknown>["wait"]>) {
  return {
    kind: wait.kind,
    tenant: message.tenant,
    traceId: message.traceId,
    messageId: message.id,
    asked: wait.asked,
    secretHash: wait.secretHash ?? null,
    expiresMs: wait.expiresMs,
    notAfter: message.expiresAt,
    next: await follow(sql, message, wait.next, waitRoom),
    onExpiry: wait.onExpiry ? await follow(sql, message, wait.onExpiry, waitRoom) : null,
  };
}

async function mustHold(tx: Sql, message: Claimed, staged: Staged[]): Promise<string> {
  const held = await hold(tx, message);
  if (held) return held.claimedAt;
  await dropStaged(staged);
  throw new Failure("lease_lost", `message ${message.id} is no longer held by this attempt`);
}

function newsOf({ traceId }: Claimed): Wake {
  return { roles: [], traces: [traceId], flows: [] };
}

/** The roles of messages that were just stored without their lanes: their workers look for themselves. */
function addFlows(news: Wake, messages: { service: string; role: string }[]): void {
  for (const { service, role } of messages) news.roles.push(`${service}.${role}`);
}

function asObject(payload: unknown): Record<string, unknown> {
  return typeof payload === "object" && payload !== null && !Array.isArray(payload) ? { ...payload } : { payload };
}
