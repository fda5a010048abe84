import { asFailure, Failure, type FailureCode, failures, recordOf } from "../contracts/failure.ts";
import type { RetryPolicy } from "../contracts/policy.ts";
import { judge, ruleFor } from "../rules/retry.ts";
import { dropStaged, keepStaged, type Staged } from "../store/artifacts.ts";
import { endBadly } from "../store/attempts.ts";
import { closeReservations } from "../store/budgets.ts";
import { cancelledOf } from "../store/cancels.ts";
import type { Taken } from "../store/claims.ts";
import type { Database, Sql } from "../store/database.ts";
import { tell, tellMany } from "../store/events.ts";
import type { Fact } from "../store/facts.ts";
import { openJoin } from "../store/joins.ts";
import { hold, lapsed } from "../store/leases.ts";
import type { Claimed, Draft } from "../store/messages.ts";
import { type Done, step } from "../store/step.ts";
import { isOne, stepOne } from "../store/stepone.ts";
import { openWait } from "../store/waits.ts";
import { type Wake, wake } from "../store/wake.ts";
import { type Aside, closeAside } from "./budget.ts";
import { follow, waitRoom } from "./draft.ts";
import { afterEnd, closed, type Verdict } from "./ends.ts";
import type { AnyHandler, Outcome } from "./handler.ts";
import { forgetRoles } from "./roles.ts";

/** What an attempt left behind besides its outcome; written with the settlement, or thrown away with it. */
export type Left = { staged: Staged[]; records: Fact[]; aside?: Aside };

/** What a worker knows of what is in its hands, when one of its messages is settled. */
export type Hands = {
  leaseMs: number;
  /** The messages of a lease, when this is the last of them that is open. */
  lastOf(message: Claimed): string[] | null;
  /** Whether a follow-up may go on here at once, before it has waited for anybody. */
  mayTake(draft: Draft): boolean;
  /** It is settled; its lease went with it, and `taken` is in hand. */
  settled(message: Claimed, { freed, taken }: { freed: boolean; taken: Taken | null }): void;
};

export type Settling = {
  sql: Database;
  artifactsBase: string;
  policy: () => RetryPolicy;
  chance: () => number;
  handlers: AnyHandler[];
  /** Where the messages of a role and shard wait, as far as it is known here. */
  laneOf?: (to: Pick<Draft, "service" | "role" | "shard">) => number | undefined;
  /** What a worker can do in the same go; without it nothing. */
  hands?: Hands;
  /** Tells what changed; `wake`, unless somebody here is to hear it first. */
  tell?: (news: Wake) => Promise<void>;
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
  settling: Settling,
  message: Claimed,
  work: Left & { outcome: Outcome<unknown> },
): Promise<void> {
  try {
    await settleOnce(settling, message, work);
  } catch (error) {
    // The number of shards may have become smaller since we looked.
    if (!(error instanceof Failure) || error.code !== "unknown_role") throw error;
    forgetRoles(settling.sql);
    await settleOnce(settling, message, work);
  }
}

async function settleOnce(
  settling: Settling,
  message: Claimed,
  { outcome, staged, records, aside }: Left & { outcome: Outcome<unknown> },
): Promise<void> {
  const { sql, artifactsBase } = settling;
  const done = await doneOf(sql, message, { outcome, records });
  const joined = outcome.join ? await follow(sql, message, outcome.join) : null;
  const waits = outcome.wait ? await waitOf(sql, message, outcome.wait) : null;
  const news: Wake = { ...newsOf(message), ended: outcome.answer ? [message.traceId] : [] };
  await aside?.made;
  const freed = settling.hands?.lastOf(message) ?? null;
  const taken = await sql.begin(async (tx) => {
    await mustHold(tx, message, staged);
    await keepStaged(tx, artifactsBase, staged);
    await closeAside(tx, message, aside);
    const goesOn = (!joined && !waits) || !(await isCalledOff(tx, message));
    const joinId =
      joined && goesOn ? await openJoin(tx, { parentId: message.id, open: done.next.length, next: joined }) : null;
    const next = joinId ? done.next.map((draft) => ({ ...draft, joinId })) : done.next;
    const handed = await stepInside(tx, { ...done, next }, { freed, hands: settling.hands });
    if (waits && goesOn) {
      const { id, expiresAt } = await openWait(tx, waits);
      const details = { wait_id: id, expires_at: expiresAt.toISOString(), asked: waits.asked };
      await tell(tx, message, { kind: `${waits.kind}_asked`, worker: message.worker, details });
    }
    if (!handed) addFlows(news, next, settling.laneOf);
    // Behind a join or a wait, one message will follow: the branch is as long as it was.
    const more = joined || waits ? 1 : next.length;
    await closed(tx, message, { more, news });
    return handed;
  });
  settling.hands?.settled(message, { freed: freed !== null, taken });
  await tellNews(settling, news);
}

/** One settlement of a transaction that holds its message. Answers the follow-up that goes on here. */
async function stepInside(
  tx: Sql,
  done: Done,
  { freed, hands }: { freed: string[] | null; hands: Hands | undefined },
): Promise<Taken | null> {
  if (isOne(done)) {
    const [draft] = done.next;
    const alone = { freed, hands: draft !== undefined && hands?.mayTake(draft) === true, leaseMs: hands?.leaseMs ?? 0 };
    return (await stepOne(tx, done, alone)).taken;
  }
  const { message } = done;
  const still = { packs: [], asked: [], limit: 0, own: true, lanes: new Map(), leaseMs: 0, worker: message.worker };
  await step(tx, { ...still, done: [done], freed: freed ? [{ token: message.token, ids: freed }] : [] });
  return null;
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
  let verdict = verdictOf(settling, message, asFailure(thrown));
  await aside?.made;
  await sql.begin(async (tx) => {
    const claimedAt = await mustHold(tx, message, staged);
    await keepStaged(tx, artifactsBase, staged);
    await closeAside(tx, message, aside);
    if (records.length > 0) await tellMany(tx, message, records);
    if (await isCalledOff(tx, message)) verdict = calledOff(verdict);
    await endBadly(tx, [{ ...verdict, message, was: "held", worker: message.worker, claimedAt }]);
    await afterEnd(tx, message, { verdict, settling, news });
  });
  await tellNews(settling, news);
  return verdict.status === "retry" ? verdict.delayMs : null;
}

/**
 * Gives a message back: the worker is stopping. The attempt counts, because it was begun; in the last one there is nothing
 * to give back, and the message is dead.
 */
export async function giveBack(settling: Settling, message: Claimed): Promise<void> {
  const news = newsOf(message);
  await settling.sql.begin(async (tx) => {
    const held = await hold(tx, message);
    if (!held) return;
    const stopped = verdictAtStop(settling, message);
    const verdict = (await isCalledOff(tx, message)) ? calledOff(stopped) : stopped;
    await endBadly(tx, [{ ...verdict, message, was: "held", worker: message.worker, claimedAt: held.claimedAt }]);
    await closeReservations(tx, [{ id: message.id, figure: null }]);
    await afterEnd(tx, message, { verdict, settling, news });
  });
  await tellNews(settling, news);
}

/** A worker that stops is nobody's fault. */
function verdictAtStop({ policy }: Settling, message: Claimed): Verdict {
  const { attempts } = message;
  const { max_attempts } = ruleFor(policy(), message);
  const verdict = { delayMs: 0, blamed: false };
  if (attempts < max_attempts) return { ...verdict, status: "retry", failure: null, why: "the worker stopped" };
  const why = `the worker stopped in attempt ${attempts} of ${max_attempts}`;
  return { ...verdict, status: "dead", failure: recordOf(new Failure("attempts_spent", why)), why };
}

/**
 * Settles the messages of our roles whose lease ran out, as lost with their worker. A message that kills its worker
 * again and again runs out of attempts and becomes a dead letter. Answers how many there were.
 */
export async function settleLapsed(settling: Settling, limit = 200): Promise<number> {
  const roles = settling.handlers.map(({ role }) => role);
  const news: Wake = { roles: [], traces: [], flows: [] };
  const lost = await settling.sql.begin(async (tx) => {
    const messages = (await lapsed(tx, roles, limit)).sort(byWhatTheyLock);
    if (messages.length === 0) return 0; // as nearly always
    const failure = new Failure("worker_lost", "the lease ran out: the worker died or lost its connection");
    const off = new Set(await cancelledOf(tx, [...new Set(messages.map(({ rootId }) => rootId))]));
    const verdicts = messages.map((message) => {
      const verdict = verdictOf(settling, message, failure);
      return { message, verdict: off.has(message.rootId) ? calledOff(verdict) : verdict };
    });
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
  if (lost > 0) await tellNews(settling, news);
  return lost;
}

/** Two who settle at one time lock lines and joins in one order, and do not wait for each other. */
function byWhatTheyLock(a: Claimed, b: Claimed): number {
  const place = ({ service, role, orderKey, joinId }: Claimed) =>
    `${service}.${role} ${orderKey ?? ""} ${joinId ?? ""}`;
  const [one, other] = [place(a), place(b)];
  return one < other ? -1 : one > other ? 1 : 0;
}

/** Ends that leave no dead letter: somebody or time has said that it shall not be. */
const endsOf: { [Code in FailureCode]?: "expired" | "cancelled" } = {
  expired: "expired",
  cancelled: "cancelled",
  approval_refused: "cancelled",
  approval_expired: "cancelled",
};

function verdictOf({ policy, chance }: Settling, message: Claimed, failure: Failure): Verdict {
  const record = recordOf(failure);
  const ended = endsOf[failure.code];
  if (ended) return { status: ended, delayMs: 0, blamed: false, failure: record, why: null };
  const { blame } = failures[failure.code];
  const blamed = blame === "agent" || blame === "system";
  const verdict = judge(failure, ruleFor(policy(), message), { attempts: message.attempts, chance: chance() });
  if (!verdict.again) return { status: "dead", delayMs: 0, blamed, failure: record, why: verdict.why };
  return { status: "retry", delayMs: verdict.delayMs, blamed, failure: record, why: null };
}

/** Nothing is tried again, and nothing follows, when the trace was called off meanwhile. Who failed did fail. */
function calledOff({ blamed }: Verdict): Verdict {
  const failure = recordOf(new Failure("cancelled", "the trace was called off"));
  return { status: "cancelled", delayMs: 0, blamed, failure, why: null };
}

async function isCalledOff(tx: Sql, { rootId }: Claimed): Promise<boolean> {
  return (await cancelledOf(tx, [rootId])).length > 0;
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

async function tellNews({ sql, tell: say }: Settling, news: Wake): Promise<void> {
  await (say ? say(news) : wake(sql, news));
}

/** Where messages wait that were just stored; of a role that nobody here plays, its workers look for themselves. */
export function addFlows(news: Wake, drafts: Draft[], laneOf: Settling["laneOf"]): void {
  for (const draft of drafts) {
    const { service, role, priority, tenant, delayMs } = draft;
    const lane = delayMs > 0 ? undefined : laneOf?.(draft);
    news.roles.push(`${service}.${role}`);
    if (lane === undefined) news.look = true;
    else news.flows.push({ lane, priority, tenant });
  }
}
