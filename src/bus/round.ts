import { Failure } from "../contracts/failure.ts";
import { type Address, type Asked, type Claim, type Lease, nothing, type Taken } from "../store/claims.ts";
import type { Database } from "../store/database.ts";
import { claimUnder, runningNow } from "../store/running.ts";
import { takeOne } from "../store/single.ts";
import { type Done, type Round, type Stepped, step } from "../store/step.ts";
import { isOne, stepOne } from "../store/stepone.ts";
import type { Wake } from "../store/wake.ts";
import type { Settled } from "./attempt.ts";
import { apart, type Capped, type CapsOf } from "./caps.ts";
import type { Flows } from "./flows.ts";
import { addFlows, type Hands, type Settling } from "./settle.ts";

/** Settlements and claims of one worker, in rounds: what was settled since the last round shares its statement and commit. */
export type Rounds = {
  /** Settles with the next round, and tells `whom` then. */
  settle(done: Done, whom: Settled): void;
  /** The messages of a lease, when this is the last of them that is open. */
  lastOf(message: Taken): string[] | null;
  /** A message was settled outside of a round: its lease went with it, and what follows is in hand. */
  went(message: Taken, { freed, taken }: { freed: boolean; taken: Taken | null }): void;
  /** A message is no longer in hand. When it was not settled, its lease is left to run out. */
  released(message: Taken, settled: boolean): void;
  /** Whether a round has something to do besides claiming. */
  readonly pending: boolean;
  /** One round: answers what was claimed. Throws when the database cannot be reached; nothing is forgotten then. */
  go(free: number, lanes: WorkerLanes): Promise<Taken[]>;
};

/** The lanes of a worker's roles, with what their messages have in common. */
export type WorkerLanes = ReadonlyMap<number, Address & { mine: boolean; closed: boolean }>;

export type RoundOptions = {
  sql: Database;
  name: string;
  leaseMs: number;
  concurrency: number;
  packFrom?: number | undefined; // a claim of so many that is all done is a pack
  caps?: (() => CapsOf | null) | undefined; // null: as many as they like may run
};

/** What the rounds need of their worker. */
export type Around = {
  flows: Flows;
  ring: () => void;
  mayTake: Hands["mayTake"];
  begin: (message: Taken) => void;
} & Required<Pick<Settling, "laneOf" | "tell">>;

type Queued = { done: Done; lease: Lease; whom: Settled };

/** A lease of ours. */
type Held = {
  size: number; // messages that were claimed with it
  open: number; // of those, what is still in hand
  sure: boolean; // no settlement of it went astray: what it was given with, it still has
  runsOut: boolean; // one of its messages could not be settled
  gone: boolean; // it went with the last of them
  capped: boolean; // somebody may wait for its end
};

const batchMost = 1000; // settlements of one statement
const firstMost = 64; // messages of a claim, as long as nothing is known of their size
const claimBytes = 8_388_608; // what a claim brings is about that much at most
const besideFrom = 100; // settlements that are worth a statement of their own
const fewMost = 2; // settlements that cost less each for itself
const fullMs = 100; // how soon what is full is looked at again, when it is others who make room
const groupsMost = 16; // of flows with a cap, a round
const packSpan = 32_767; // ids of one pack lie so close together
const none: ReadonlyMap<number, Address> = new Map();

export function openRounds(
  { sql, name, leaseMs, concurrency, caps, packFrom = 32 }: RoundOptions,
  { flows, ring, laneOf, tell, mayTake, begin }: Around,
): Rounds {
  let queue: Queued[] = [];
  let freed: Lease[] = []; // of which nothing is left
  const leases = new Map<Lease, Held>();

  const still = {
    worker: name,
    packs: [],
    freed: [],
    asked: [],
    limit: 0,
    own: true,
    lanes: none,
    leaseMs,
  };
  let settling: Promise<void> | null = null; // a settlement beside the claims, while there is much of both
  let claims = 0; // under way
  let away = false; // the database was, when a settlement alone was tried last
  let turn = 0; // so that groups beyond `groupsMost` have their turn too
  let watched = false; // whether the queue is looked at when this turn of the event loop is over
  // Parts of what may be in hand, so that one is claimed and one is settled while another is worked on.
  const claimMost = Math.min(batchMost, Math.max(firstMost, Math.ceil(concurrency / 4)));
  let reach = firstMost; // of the next claim: grows as long as what comes is small

  async function go(free: number, lanes: WorkerLanes): Promise<Taken[]> {
    const limit = Math.min(free, claimMost, reach);
    const wish = limit > 0 ? flows.ask(lanes, limit, performance.now()) : { asked: [], own: true };
    const { asked, capped } = apart(wish.asked, lanes, caps?.() ?? null);
    const asks = asked.length > 0;
    // Little: one statement and one commit for both. Much: two that run side by side.
    if (asks && queue.length >= besideFrom) settling ??= settleBeside();
    const beside = settling !== null;
    if (!beside && queue.length <= fewMost && queue.every(({ done }) => isOne(done))) await settleFew(take());
    const now = beside ? [] : take();
    const letGo = beside ? [] : freed;
    if (!beside) freed = [];
    if (now.length === 0 && !asks && letGo.length === 0) {
      if (capped.length > 0) return takeCapped(capped, limit, lanes);
      await settling;
      return [];
    }
    const [only] = asked;
    const idle = leases.size === 0 && now.length === 0 && letGo.length === 0 && !beside;
    if (only && asked.length === 1 && capped.length === 0 && idle) return takeFirst(only, limit, lanes);
    claims += 1;
    const answer = await settle(now, letGo, { ...still, ...wish, asked, limit, lanes }).finally(() => {
      claims -= 1;
    });
    flows.took(answer.flows, asked, { limit, contested: answer.contested });
    remember(answer, false);
    if (capped.length === 0 || answer.leased >= limit) return answer.taken;
    return [...answer.taken, ...(await takeCapped(capped, limit - answer.leased, lanes))];
  }

  /**
   * Each in a statement of its own, beside whatever else is done. What follows and goes on here begins at once. They are
   * waited for only after one that found no database: then the loop meets the failure, and takes its time.
   */
  async function settleFew(few: Queued[]): Promise<void> {
    const all = few.map(settleAlone);
    if (away) await Promise.all(all);
    else for (const one of all) one.catch(ring); // it is in the queue again
  }

  async function settleAlone(one: Queued): Promise<void> {
    const { done, lease, whom } = one;
    const ids = lastOf(whom.message);
    const [draft] = done.next;
    try {
      const hands = draft !== undefined && mayTake(draft);
      const answer = await stepOne(sql, done, { freed: ids, hands, leaseMs });
      away = false;
      if (answer.lost) throw new Failure("lease_lost", `message ${done.message.id} is no longer held`);
      went(lease, { freed: ids !== null, taken: answer.taken });
      if (answer.taken) begin(answer.taken);
      tellOthers([answer.taken ? { ...done, next: [] } : done]);
    } catch (error) {
      const code = error instanceof Failure ? error.code : null;
      mark(lease, code === "lease_lost" ? { runsOut: true } : { sure: false });
      if (code !== "database_unavailable") return whom.ended(error);
      away = true;
      queue.unshift(one);
      throw error;
    }
    whom.ended();
  }

  function lastOf({ lease }: Pick<Taken, "lease">): string[] | null {
    const held = leases.get(lease);
    return held?.sure && !held.runsOut && held.open === 1 ? lease.ids : null;
  }

  function went(lease: Lease, { freed: gone, taken }: { freed: boolean; taken: Taken | null }): void {
    if (gone) mark(lease, { gone: true });
    if (taken) leases.set(taken.lease, { size: 1, open: 1, sure: true, runsOut: false, gone: false, capped: false });
  }

  /** After a pause mostly one message comes, and to claim one is cheaper than to claim many. */
  async function takeFirst(only: Asked, limit: number, lanes: WorkerLanes): Promise<Taken[]> {
    const claim = await takeOne(sql, only, { worker: name, limit, lanes, leaseMs });
    flows.took(claim.flows, [{ ...only, rows: claim.more ? 1 : 2 }], { limit, contested: false });
    remember(claim, false);
    return claim.taken;
  }

  function remember({ taken, leased, bytes }: Claim, capped: boolean): void {
    const [first] = taken;
    if (!first) return;
    reach = Math.max(1, Math.min(claimMost, 2 * reach, Math.floor((claimBytes * taken.length) / bytes)));
    leases.set(first.lease, { size: leased, open: leased, sure: true, runsOut: false, gone: false, capped });
  }

  /** Claims of flows with a cap, each group in a transaction of its own. What was claimed is never lost to an error. */
  async function takeCapped(groups: Capped[], limit: number, lanes: WorkerLanes): Promise<Taken[]> {
    const taken: Taken[] = [];
    const names = groups.flatMap((group) => group.caps.map((cap) => cap.name));
    const running = await runningNow(sql, [...new Set(names)]);
    const fullUntil = performance.now() + fullMs;
    const open: Capped[] = [];
    for (const group of groups) {
      if (group.caps.every((cap) => (running.get(cap.name) ?? 0) < cap.most)) open.push(group);
      else flows.full(group.asked, fullUntil);
    }
    turn = open.length > groupsMost ? (turn + groupsMost) % open.length : 0;
    for (const group of [...open.slice(turn), ...open.slice(0, turn)].slice(0, groupsMost)) {
      const left = limit - taken.length;
      if (left <= 0) break;
      try {
        const claim = await claimUnder(sql, group.caps, { ...still, asked: group.asked, limit: left, lanes });
        if (claim.full) flows.full(group.asked, fullUntil);
        flows.took(claim.flows, group.asked, { limit: claim.full ? 0 : left, contested: claim.contested });
        remember(claim, true);
        taken.push(...claim.taken);
      } catch (error) {
        if (taken.length === 0) throw error;
        break;
      }
    }
    return taken;
  }

  async function settleBeside(): Promise<void> {
    const now = take();
    const letGo = freed;
    freed = [];
    try {
      await settle(now, letGo, still);
    } catch {
      // It is in the queue again, and the loop will meet the same failure.
    } finally {
      settling = queue.length >= besideFrom && claims > 0 ? settleBeside() : null;
      ring();
    }
  }

  /** While a claim is under way, what has come together in the meantime does not wait for it. */
  function watch(): void {
    if (watched || claims === 0) return;
    watched = true;
    setImmediate(() => {
      watched = false;
      if (claims > 0 && queue.length >= besideFrom) settling ??= settleBeside();
    });
  }

  function take(): Queued[] {
    const now = queue.slice(0, batchMost);
    queue = queue.slice(now.length);
    return now;
  }

  /**
   * Who settles how: a whole claim that was done is one pack, which takes its lease with it; the rest are rows, and a
   * lease of which nothing will be left goes with the last of them.
   */
  function sorted(now: Queued[]): { done: Done[]; packs: Done[][]; last: Lease[] } {
    const byLease = new Map<Lease, Done[]>();
    for (const { done, lease } of now) {
      const group = byLease.get(lease);
      if (group) group.push(done);
      else byLease.set(lease, [done]);
    }
    const sorting = { done: [] as Done[], packs: [] as Done[][], last: [] as Lease[] };
    for (const [lease, group] of byLease) {
      const held = leases.get(lease);
      if (held && isPack(group, held))
        sorting.packs.push(group.sort((a, b) => Number(a.message.id) - Number(b.message.id)));
      else sorting.done.push(...group);
      if (held?.sure && !held.runsOut && group.length === held.open) sorting.last.push(lease);
    }
    return sorting;
  }

  function isPack(group: Done[], { size, sure }: Held): boolean {
    if (!sure || size < packFrom || group.length !== size) return false;
    let low = Number.POSITIVE_INFINITY;
    let high = 0;
    for (const { message } of group) {
      const id = Number(message.id);
      low = Math.min(low, id);
      high = Math.max(high, id);
    }
    return high - low <= packSpan && low >> 24 === high >> 24; // of one partition
  }

  /** One statement. Throws when the database cannot be reached; then `now` and `letGo` are kept for the next one. */
  async function settle(
    now: Queued[],
    letGo: Lease[],
    round: Omit<Round, "done" | "packs" | "freed">,
  ): Promise<Stepped> {
    const { done, packs, last } = sorted(now);
    let answer: Stepped;
    try {
      answer = await step(sql, { ...round, done, packs, freed: [...letGo, ...last] });
    } catch (error) {
      freed = [...letGo, ...freed];
      for (const { lease } of now) mark(lease, { sure: false });
      if (error instanceof Failure && error.code === "database_unavailable") {
        queue = [...now, ...queue];
        throw error;
      }
      if (now.length === 0) throw error;
      await oneByOne(now, error);
      return { ...nothing, lost: [], contested: true };
    }
    const lost = new Set(answer.lost);
    for (const lease of last) mark(lease, { gone: true });
    const written: Done[] = [];
    for (const { done: one, lease, whom } of now) {
      if (lost.has(one.message.id)) {
        mark(lease, { runsOut: true });
        whom.ended(new Failure("lease_lost", `message ${one.message.id} is no longer held`));
        continue;
      }
      written.push(one);
      whom.ended();
    }
    tellOthers(written);
    return answer;
  }

  function mark(lease: Lease, change: Partial<Held>): void {
    const held = leases.get(lease);
    if (held) Object.assign(held, change);
  }

  /** One that the database refuses must not keep its neighbours from being settled. */
  async function oneByOne(batch: Queued[], error: unknown): Promise<void> {
    if (batch.length === 1) {
      batch[0]?.whom.ended(error);
      return;
    }
    for (const { done, whom } of batch) {
      try {
        const { lost } = await step(sql, { ...still, done: [done] });
        if (lost.length > 0) throw new Failure("lease_lost", `message ${done.message.id} is no longer held`);
        whom.ended();
        tellOthers([done]);
      } catch (reason) {
        whom.ended(reason);
      }
    }
  }

  function tellOthers(done: Done[]): void {
    if (done.length === 0) return;
    const told = done.slice(0, tracesTold);
    const traces = [...new Set(told.map(({ message }) => message.traceId))];
    const ended = told.filter(({ answer }) => answer !== null).map(({ message }) => message.traceId);
    const news: Wake = { roles: [], traces, flows: [], ended };
    for (const { next } of done) addFlows(news, next, laneOf);
    if (news.roles.length === 0 && done.length > tracesTold) return; // nobody follows hundreds of traces at a time
    void tell(news);
  }

  return {
    settle(done, whom) {
      queue.push({ done, lease: whom.message.lease, whom });
      watch();
      ring();
    },
    lastOf,
    went: ({ lease }, what) => went(lease, what),
    released({ lease }, settled) {
      const held = leases.get(lease);
      if (!held) return;
      if (!settled) held.runsOut = true;
      held.open -= 1;
      if (held.capped) flows.room();
      if (held.open > 0) return;
      leases.delete(lease);
      if (!held.runsOut && !held.gone) freed.push(lease);
    },
    get pending() {
      return queue.length > 0 || freed.length > 0 || settling !== null;
    },
    go,
  };
}

const tracesTold = 64;
