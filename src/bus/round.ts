import { Failure } from "../contracts/failure.ts";
import type { Database } from "../store/database.ts";
import { type Address, type Done, type Round, type Stepped, step, type Taken } from "../store/leases.ts";
import { wake } from "../store/wake.ts";
import type { Flows } from "./flows.ts";

/** Settlements and claims of one worker, in rounds: what was settled since the last round shares its statement and commit. */
export type Rounds = {
  /** Settles with the next round. Rejects with `lease_lost`, or with why the database refused it. */
  settle(done: Done): Promise<void>;
  /** A message of this lease is no longer in hand. When one was not settled, the lease is left to run out. */
  released(token: string, settled: boolean): void;
  /** Whether a round has something to do besides claiming. */
  readonly pending: boolean;
  /** One round: answers what was claimed. Throws when the database cannot be reached; nothing is forgotten then. */
  go(free: number, lanes: WorkerLanes): Promise<Taken[]>;
};

/** The lanes of a worker's roles, with what their messages have in common. */
export type WorkerLanes = ReadonlyMap<number, Address & { mine: boolean; closed: boolean }>;

type Queued = { done: Done; resolve: () => void; reject: (reason: unknown) => void };

const batchMost = 500; // messages of one claim, and settlements of one statement
const besideFrom = 100; // settlements that are worth a statement of their own
const none: ReadonlyMap<number, Address> = new Map();

export function openRounds(
  { sql, name, leaseMs }: { sql: Database; name: string; leaseMs: number },
  { flows, ring }: { flows: Flows; ring: () => void },
): Rounds {
  let queue: Queued[] = [];
  let freed: string[] = [];
  const inHand = new Map<string, number>(); // by token: messages that are not settled
  const unsettled = new Set<string>(); // tokens of leases with a message that could not be

  const still = { worker: name, freed: [], asked: [], perFlow: 0, limit: 0, own: true, lanes: none, leaseMs };
  let settling: Promise<void> | null = null; // a settlement beside the claims, while there is much of both

  async function go(free: number, lanes: WorkerLanes): Promise<Taken[]> {
    const limit = Math.min(free, batchMost);
    const wish = limit > 0 ? flows.ask(lanes, limit, performance.now()) : { asked: [], perFlow: 0, own: true };
    const claims = wish.asked.length > 0;
    // Little: one statement and one commit for both. Much: two that run side by side.
    if (claims && queue.length >= besideFrom) settling ??= settleBeside();
    const beside = settling !== null;
    const now = beside ? [] : take();
    const letGo = beside ? [] : freed;
    if (!beside) freed = [];
    if (now.length === 0 && !claims && letGo.length === 0) {
      await settling;
      return [];
    }
    const done = now.map((one) => one.done);
    const answer = await settle(now, letGo, { ...still, done, freed: letGo, ...wish, limit, lanes });
    flows.took(answer.taken, wish, { limit, contested: answer.contested });
    for (const { token } of answer.taken) inHand.set(token, (inHand.get(token) ?? 0) + 1);
    return answer.taken;
  }

  async function settleBeside(): Promise<void> {
    const now = take();
    const letGo = freed;
    freed = [];
    try {
      await settle(now, letGo, { ...still, done: now.map((one) => one.done), freed: letGo });
    } catch {
      // It is in the queue again, and the loop will meet the same failure.
    } finally {
      settling = null;
      ring();
    }
  }

  function take(): Queued[] {
    const now = queue.slice(0, batchMost);
    queue = queue.slice(now.length);
    return now;
  }

  /** One statement. Throws when the database cannot be reached; then `now` and `letGo` are kept for the next one. */
  async function settle(now: Queued[], letGo: string[], round: Round): Promise<Stepped> {
    let answer: Stepped;
    try {
      answer = await step(sql, round);
    } catch (error) {
      freed = [...letGo, ...freed];
      if (error instanceof Failure && error.code === "database_unavailable") {
        queue = [...now, ...queue];
        throw error;
      }
      if (now.length === 0) throw error;
      await oneByOne(now, error);
      return { taken: [], lost: [], contested: true };
    }
    const lost = new Set(answer.lost);
    for (const { done, resolve, reject } of now) {
      if (lost.has(done.message.id)) reject(new Failure("lease_lost", `message ${done.message.id} is no longer held`));
      else resolve();
    }
    tellOthers(now.flatMap(({ done }) => (lost.has(done.message.id) ? [] : [done])));
    return answer;
  }

  /** One that the database refuses must not keep its neighbours from being settled. */
  async function oneByOne(batch: Queued[], error: unknown): Promise<void> {
    if (batch.length === 1) {
      batch[0]?.reject(error);
      return;
    }
    for (const { done, resolve, reject } of batch) {
      try {
        const { lost } = await step(sql, { ...still, done: [done] });
        if (lost.length > 0) throw new Failure("lease_lost", `message ${done.message.id} is no longer held`);
        resolve();
        tellOthers([done]);
      } catch (reason) {
        reject(reason);
      }
    }
  }

  function tellOthers(done: Done[]): void {
    const roles = new Set(done.flatMap(({ next }) => next.map(({ service, role }) => `${service}.${role}`)));
    const traces = new Set(done.map(({ message }) => message.traceId));
    if (roles.size === 0 && traces.size > tracesTold) return; // nobody follows hundreds of traces at a time
    void wake(sql, { roles: [...roles], traces: [...traces].slice(0, tracesTold), flows: [] });
  }

  return {
    settle: (done) =>
      new Promise((resolve, reject) => {
        queue.push({ done, resolve, reject });
        ring();
      }),
    released(token, settled) {
      if (!settled) unsettled.add(token);
      const left = (inHand.get(token) ?? 1) - 1;
      if (left > 0) {
        inHand.set(token, left);
        return;
      }
      inHand.delete(token);
      if (!unsettled.delete(token)) freed.push(token);
    },
    get pending() {
      return queue.length > 0 || freed.length > 0 || settling !== null;
    },
    go,
  };
}

const tracesTold = 64;
