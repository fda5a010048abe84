import { setTimeout as pause } from "node:timers/promises";
import { asFailure, Failure } from "../contracts/failure.ts";
import type { Log } from "../contracts/log.ts";
import type { CircuitPolicy } from "../contracts/policy.ts";
import { cancelledOf } from "../store/cancels.ts";
import { openCircuits, returnProbe, takeProbe } from "../store/circuits.ts";
import type { Taken } from "../store/claims.ts";
import type { Database } from "../store/database.ts";
import { flowsOn, promote, watermark } from "../store/flows.ts";
import { forget, type Retention, turnHistory } from "../store/history.ts";
import { balanceLanes, declareRoles, leaveLanes } from "../store/lanes.ts";
import { extend } from "../store/leases.ts";
import type { Draft, Flow } from "../store/messages.ts";
import { listen, type Wake, wake } from "../store/wake.ts";
import { beat, leave } from "../store/workers.ts";
import { Attempt, endLate, type Workshop } from "./attempt.ts";
import type { CapsOf } from "./caps.ts";
import { openFlows } from "./flows.ts";
import type { AnyHandler } from "./handler.ts";
import { forgetRoles } from "./roles.ts";
import { openRounds, type WorkerLanes } from "./round.ts";
import { giveBack, type Settling } from "./settle.ts";
import { upkeep } from "./upkeep.ts";

export type WorkerOptions = Omit<Workshop, "settle" | "later" | "over"> & {
  sql: Database;
  name: string; // unique among all workers
  handlers: AnyHandler[];
  shards?: (role: string) => number | null; // of a role; null: as many as it has, 4 when it is new
  circuits?: () => CircuitPolicy;
  caps?: () => CapsOf | null; // how many may be in hand at one time, over all workers; null: no limit anywhere
  retention?: () => Retention;
  concurrency: number; // messages at one time
  packFrom?: number; // from how many messages a claim that is all done is written as one row; 32 unless given
  leaseMs: number; // a worker that is silent this long has lost its messages
  pollMs: number; // how long a lost wake-up can cost
  log: Log;
};

export type Worker = { stop(graceMs: number): Promise<void> };

const silent = () => {};
const muchFrom = 100; // messages of one claim
const breathMs = 20;
const lookLateMs = 20; // a look may wait for what we heard of
const historyEveryMs = 60_000;
const doubtEveryMs = 10_000;
const balanceEveryMs = 3000; // a lane of a worker that is gone may be claimed from by anybody meanwhile
const dayMs = 86_400_000;
const usualRetention: Retention = {
  historyMs: 30 * dayMs,
  partitionMs: dayMs,
  answeredMs: 30 * dayMs,
  deadMs: 90 * dayMs,
};

/**
 * Claims due messages of its handlers' roles and hands each to its handler, until it is stopped.
 * Stopping claims nothing more, waits `graceMs` for what is in hand, gives the rest back.
 */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const { sql, name, handlers, concurrency, leaseMs, pollMs, log } = options;
  const roles = handlers.map(({ role }) => role);
  const byRole = new Map(handlers.map((handler) => [handler.role, handler]));
  const running = new Set<Attempt>();
  const flows = openFlows();
  let lanes: WorkerLanes = new Map();
  let begun = false; // has its first heartbeat behind it
  let stopping = false; // claims nothing more
  let over = false; // waits for nothing more
  let trials: number[] = []; // lanes whose circuit is half open
  let looking: Promise<void> | null = null;
  let blind: unknown = null; // why the last look failed
  let lookAt = 0; // when to look what is due, whatever we heard
  let ring = () => {};
  let whenEmpty = () => {};
  let ahead: Promise<Taken[]> | null = null; // a claim whose messages have not begun
  let laneIds = new Map<string, number>();
  const laneOf: NonNullable<Settling["laneOf"]> = (to) => laneIds.get(placeOf(to));
  const rounds = openRounds(options, { flows, ring: () => ring(), laneOf, tell, mayTake, begin });
  const shop: Workshop = {
    ...options,
    laneOf,
    tell,
    hands: {
      leaseMs,
      lastOf: (message) => rounds.lastOf(message as Taken),
      mayTake,
      settled(message, { freed, taken }) {
        rounds.went(message as Taken, { freed, taken });
        if (taken) begin(taken);
      },
    },
    settle: rounds.settle,
    over(attempt, settled) {
      running.delete(attempt);
      rounds.released(attempt.message, settled);
      if (running.size === 0 && !ahead) whenEmpty();
      ring();
    },
    later(delayMs) {
      lookAt = Math.min(lookAt, performance.now() + delayMs + 1);
      ring();
    },
  };

  await declareRoles(
    sql,
    handlers.map(({ role, ordered = false }) => ({ role, ordered, shards: options.shards?.(role) ?? null })),
  );
  forgetRoles(sql);
  const unlisten = await listen(sql, hear);

  function hear(hint: Wake | null): void {
    for (const rootId of hint?.cancelled ?? []) callOff(rootId);
    if (hint?.by === name) return; // we knew before everybody else
    const ours = hint?.flows.filter(({ lane }) => lanes.has(lane)) ?? [];
    flows.hear(ours, performance.now());
    // A hint that names a role of ours without saying where: look.
    const unsaid = !hint || hint.look || hint.flows.length === 0;
    if (unsaid && (!hint || hint.roles.some((role) => byRole.has(role)))) lookAt = 0;
    else if (ours.length === 0) return;
    ring();
  }

  /** A follow-up goes on here when it keeps nobody waiting: there is room, and nothing was there before it. */
  function mayTake(draft: Draft): boolean {
    const lane = laneOf(draft);
    const one = lane === undefined ? undefined : lanes.get(lane);
    if (lane === undefined || !one?.mine || one.closed || !byRole.has(`${draft.service}.${draft.role}`)) return false;
    return !stopping && running.size < concurrency && flows.isQuiet(lane) && !options.caps?.();
  }

  /** What we did we need not be told, and others hear it as soon. */
  async function tell(news: Wake): Promise<void> {
    hear(news);
    void wake(sql, { ...news, flows: distinct(news.flows), roles: [...new Set(news.roles)], by: name });
  }

  function callOff(rootId: string): void {
    for (const attempt of running) {
      if (attempt.message.rootId === rootId) attempt.abort(new Failure("cancelled", "the trace was called off"));
    }
  }

  function begin(message: Taken): void {
    const handler = byRole.get(`${message.service}.${message.role}`);
    if (!handler) throw new Failure("internal", `claimed a message of ${message.service}.${message.role}`);
    const attempt = new Attempt(handler, message, shop);
    running.add(attempt);
    attempt.begin();
  }

  /** Finds what nobody told us about, and what has become due. */
  async function look(): Promise<void> {
    const ids = [...lanes.keys()];
    const [due, found] = await Promise.all([promote(sql, ids), flowsOn(sql, ids)]);
    flows.hear([...due.flows, ...found], performance.now());
    if (due.nextMs !== null) lookAt = Math.min(lookAt, performance.now() + due.nextMs + 1);
  }

  /** What we hear of meanwhile does not wait for it. What fails is met in the next turn of the loop, which takes its time then. */
  function lookBeside(): void {
    lookAt = performance.now() + pollMs;
    looking = look().then(
      () => {
        looking = null;
        ring();
      },
      (error: unknown) => {
        looking = null;
        blind = error;
        lookAt = 0;
        ring();
      },
    );
  }

  /** What we heard of goes first, but not for ever. */
  function isTimeToLook(): boolean {
    const now = performance.now();
    return now >= lookAt + (flows.nextMs(lanes, now) === 0 ? lookLateMs : 0);
  }

  function free(): number {
    return stopping ? 0 : concurrency - running.size;
  }

  /** It is waited for in the next turn, where its failure is met. */
  function aheadOf(claim: Promise<Taken[]>): Promise<Taken[]> {
    claim.catch(() => {});
    return claim;
  }

  async function loop(): Promise<void> {
    let failures = 0;
    while (!over || rounds.pending || ahead) {
      const rung = new Promise<void>((resolve) => {
        ring = () => {
          ring = silent; // once is enough
          resolve();
        };
      });
      try {
        const failed = blind;
        blind = null;
        if (failed !== null) throw failed;
        if (!stopping && looking === null && isTimeToLook()) lookBeside();
        for (const lane of trials.splice(0)) await probe(lane);
        const taken = await (ahead ?? rounds.go(free(), lanes)).finally(() => {
          ahead = null;
        });
        // While there is much, the next claim is under way before the handlers of this one begin.
        if (taken.length >= muchFrom && free() > taken.length) ahead = aheadOf(rounds.go(free() - taken.length, lanes));
        for (const message of taken) begin(message);
        failures = 0;
        if (running.size === 0 && !ahead) whenEmpty();
        if (!over && !ahead) await Promise.race([rung, pause(idleMs(), undefined, { ref: false })]);
      } catch (error) {
        failures += 1;
        log.warn({ worker: name, failures, reason: asFailure(error).message }, "could not claim, trying again");
        if (over && failures > 3) return; // the leases run out by themselves
        await pause(Math.min(5000, 100 * 2 ** failures));
      }
    }
  }

  function idleMs(): number {
    const now = performance.now();
    const lookMs = looking === null ? Math.max(0, lookAt - now) : pollMs;
    if (rounds.pending) return 0;
    if (stopping || running.size >= concurrency) return pollMs;
    const nextMs = flows.nextMs(lanes, now);
    return nextMs === null ? lookMs : Math.min(nextMs, lookMs);
  }

  /** Between two statements that nobody waits for. */
  async function breathe(): Promise<void> {
    if (begun && !stopping) await pause(Math.min(breathMs, leaseMs / 150), undefined, { ref: false });
  }

  const upkept = { historyAt: 0, balanceAt: 0, doubtAt: performance.now() + doubtEveryMs };
  let all: Awaited<ReturnType<typeof balanceLanes>> = [];
  let mark: { seq: string; next: string } | null = null;

  /** Keeps the leases of what runs, takes up what others lost, and tells that we live. */
  async function keepAlive(): Promise<void> {
    await keepLeases();
    await breathe();
    await beat(sql, { id: name, kind: "worker", roles, facts: { running: running.size, concurrency } });
    await breathe();
    if (performance.now() >= upkept.balanceAt) {
      all = await balanceLanes(sql, { worker: name, roles, leaseMs });
      upkept.balanceAt = performance.now() + Math.min(balanceEveryMs, leaseMs / 3);
      await breathe();
    }
    await upkeep(options, { circuits: options.circuits?.() ?? null, breathe });
    const circuits = new Map((await openCircuits(sql)).map(({ lane, state }) => [lane, state]));
    lanes = new Map(all.map(({ id, ...lane }) => [id, { ...lane, closed: circuits.has(id) }]));
    laneIds = new Map(all.map((lane) => [placeOf(lane), lane.id]));
    trials = [...circuits].flatMap(([lane, state]) => (state === "half_open" && lanes.has(lane) ? [lane] : []));
    if (trials.length > 0) ring();
    const seen = await watermark(sql);
    if (mark && BigInt(seen.oldest) >= BigInt(mark.next)) flows.settledBelow(Number(mark.seq));
    if (!mark || BigInt(seen.oldest) >= BigInt(mark.next)) mark = seen;
    const now = performance.now();
    if (now >= upkept.doubtAt) {
      upkept.doubtAt = now + doubtEveryMs;
      flows.doubt();
    }
    if (now < upkept.historyAt) return;
    upkept.historyAt = now + historyEveryMs;
    const retention = options.retention?.() ?? usualRetention;
    await turnHistory(sql, retention);
    if (await forget(sql, retention)) upkept.historyAt = now;
  }

  /** Tries a lane that is half open with single messages, as far as there are probes left for all workers together. */
  async function probe(lane: number): Promise<void> {
    const one = lanes.get(lane);
    while (one && !stopping && running.size < concurrency && (await takeProbe(sql, lane))) {
      const taken = await claimProbe(new Map([[lane, { ...one, mine: true, closed: false }]]), lane).catch(() => null);
      if (taken) begin(taken);
      else return returnProbe(sql, lane);
    }
  }

  async function claimProbe(trial: WorkerLanes, lane: number): Promise<Taken | null> {
    flows.hear(await flowsOn(sql, [lane]), performance.now());
    const [taken] = await rounds.go(1, trial);
    return taken ?? null;
  }

  async function keepLeases(): Promise<void> {
    const inHand = [...running].map(({ message }) => message);
    if (inHand.length === 0) return;
    const tokens = [...new Set(inHand.map(({ token }) => token))];
    const held = new Set(await extend(sql, { worker: name, tokens, leaseMs }));
    for (const attempt of running) {
      const { token } = attempt.message;
      if (tokens.includes(token) && !held.has(token)) attempt.abort(new Failure("lease_lost", "the lease ran out"));
    }
    for (const rootId of await cancelledOf(sql, [...new Set(inHand.map(({ rootId }) => rootId))])) callOff(rootId);
  }

  let beating = Promise.resolve();
  const alive = () => {
    beating = beating.then(keepAlive).catch((error) => {
      log.warn({ worker: name, reason: asFailure(error).message }, "heartbeat failed");
    });
    return beating;
  };
  await alive();
  begun = true;
  const lateness = setInterval(
    () => {
      const now = performance.now();
      for (const attempt of running) if (now >= attempt.overAt) endLate(attempt);
    },
    Math.min(100, Math.max(10, options.attemptMs / 5)),
  );
  const heartbeat = setInterval(alive, Math.min(leaseMs / 3, 1000)); // also how late a lapsed lease is noticed
  const ended = loop();

  return {
    async stop(graceMs) {
      stopping = true;
      const emptied = new Promise<void>((resolve) => {
        whenEmpty = resolve;
      });
      if (running.size === 0 && !ahead) whenEmpty();
      ring();
      const grace = new AbortController();
      await Promise.race([emptied, pause(graceMs, undefined, { signal: grace.signal }).catch(() => {})]);
      grace.abort();
      clearInterval(heartbeat);
      clearInterval(lateness);
      await Promise.all([
        ...[...running].map(async (attempt) => {
          await giveBack(options, attempt.message).catch(() => {}); // the lease runs out by itself
          attempt.abort(new Failure("lease_lost", "the worker stopped"));
        }),
      ]);
      over = true;
      ring();
      await ended;
      await looking;
      await beating;
      await unlisten().catch(() => {}); // its connection may be gone already
      await leaveLanes(sql, name).catch(() => {});
      await leave(sql, name).catch(() => {});
    },
  };
}

function placeOf({ service, role, shard }: { service: string; role: string; shard: number }): string {
  return `${service}.${role}.${shard}`;
}

function distinct(flows: Flow[]): Flow[] {
  return [...new Map(flows.map((flow) => [`${flow.lane} ${flow.priority} ${flow.tenant}`, flow])).values()];
}
