import type { Limits, Profile } from "../contracts/limits.ts";
import { type Berth, isWhole, leaveBerth } from "./berth.ts";

/** What a box is wanted for. */
export type Want = { profile: Profile; limits: Limits; deps?: string }; // deps: an entry of the depot, for /deps

/** Boxes that are ready before they are wanted. Each is good for one run. */
export type Pool = {
  take(want: Want): Promise<Berth>; // one that was made for this very want and waits, else a new one
  warm(wants: Want[], most: number): void; // makes one ready for each, and from now on keeps up to `most` in all
  waiting(): number; // how many are ready
  settled(): Promise<void>; // nothing is being made ready any more
  close(): Promise<void>; // ends those that wait
};

/** What boxes of one kind are made for, how many of them run, and how many are to wait. */
type Kind = { name: string; want: Want; running: number; target: number };
type Spare = { kind: Kind; berth: Berth };
type Coming = { kind: Kind; made: Promise<Berth>; isTaken: boolean };

const againMs = 1000; // after one died while it waited
const patientMs = 100; // a run that is over by then was not disturbed
const mostKinds = 64;

/**
 * Opens a pool. A warm box is exactly what a new one would be: made with the very limits that the run then has, used for
 * one run, and ended. Its successor is made once the run is over; when none is left and it takes longer, a little later.
 * What was wanted last is kept ready: one more than ran at one time.
 */
export function openPool(make: (want: Want) => Promise<Berth>): Pool {
  const kinds = new Map<string, Kind>(); // the one that was wanted last comes last
  const spares = new Set<Spare>();
  const coming = new Set<Coming>();
  const timers = new Set<NodeJS.Timeout>();
  let most = 0;
  let closed = false;

  function kindOf(want: Want): Kind {
    const name = nameOf(want);
    const kind = kinds.get(name) ?? { name, want, running: 0, target: 0 };
    kinds.delete(name);
    kinds.set(name, kind);
    for (const [old, { running }] of kinds) {
      if (kinds.size <= mostKinds) break;
      if (running === 0) kinds.delete(old);
    }
    return kind;
  }

  function waitingOf(kind: Kind): number {
    const isOne = (each: Spare | Coming) => each.kind === kind && !("isTaken" in each && each.isTaken);
    return [...spares, ...coming].filter(isOne).length;
  }

  function refill(kind: Kind): void {
    while (!closed && waitingOf(kind) < kind.target && makeRoom(kind)) prepare(kind);
  }

  /**
   * Whether one more may wait. One of another kind goes for it, of the kind that was wanted longest ago: one of several,
   * or, for the first of this kind, the last of that one.
   */
  function makeRoom(kind: Kind): boolean {
    if (spares.size + coming.size < most) return true;
    const others = [...kinds.values()].filter((other) => other !== kind && waitingOf(other) > 0);
    const oldest = others.find((other) => waitingOf(other) > 1) ?? (waitingOf(kind) === 0 ? others[0] : undefined);
    const going = [...spares].find((spare) => spare.kind === oldest);
    if (going) discard(going);
    return going !== undefined;
  }

  function prepare(kind: Kind): void {
    const one: Coming = { kind, made: make(kind.want), isTaken: false };
    coming.add(one);
    one.made.then(
      (berth) => {
        coming.delete(one);
        if (one.isTaken) return;
        const spare = { kind, berth };
        spares.add(spare);
        void berth.box.ended.then(() => {
          if (spares.has(spare)) replace(spare);
        });
        if (closed) discard(spare);
      },
      () => coming.delete(one), // whoever runs next is told why
    );
  }

  /** It died while it waited: nobody lost anything, and another takes its place. */
  function replace(spare: Spare): void {
    discard(spare);
    refillLater(spare.kind, againMs);
  }

  function refillLater(kind: Kind, ms: number): void {
    const timer = setTimeout(() => {
      timers.delete(timer);
      refill(kind);
    }, ms);
    timers.add(timer);
  }

  async function discard(spare: Spare): Promise<void> {
    spares.delete(spare);
    await leaveBerth(spare.berth).catch(() => {}); // its user is not given to another
  }

  /** A box that waits, or will soon. */
  async function ready(kind: Kind): Promise<Berth | null> {
    for (const spare of spares) {
      if (spare.kind !== kind) continue;
      if (isWhole(spare.berth)) {
        spares.delete(spare);
        return spare.berth;
      }
      replace(spare);
    }
    const next = [...coming].find((each) => each.kind === kind && !each.isTaken);
    if (!next) return null;
    next.isTaken = true;
    return next.made;
  }

  return {
    async take(want) {
      const kind = kindOf(want);
      kind.running++;
      kind.target = Math.min(most, kind.running + 1);
      const leave = () => {
        kind.running--;
        refill(kind);
      };
      try {
        const berth = (await ready(kind)) ?? (await make(want));
        if (waitingOf(kind) === 0) refillLater(kind, patientMs);
        return { ...berth, close: () => berth.close().finally(leave) };
      } catch (thrown) {
        kind.running--;
        throw thrown;
      }
    },
    warm(wants, count) {
      most = count;
      for (const want of wants) {
        const kind = kindOf(want);
        kind.target = Math.max(kind.target, 1);
        refill(kind);
      }
    },
    waiting: () => spares.size,
    async settled() {
      while (coming.size > 0) await Promise.allSettled([...coming].map(({ made }) => made));
    },
    async close() {
      closed = true;
      for (const timer of timers) clearTimeout(timer);
      await Promise.allSettled([...coming].map(({ made }) => made));
      await Promise.all([...spares].map(discard));
    },
  };
}

/** Two wants of the same name get the same box. The limits that the worker itself keeps have no part in it. */
function nameOf({ profile, limits }: Want): string {
  const { programs, binds, environment } = profile;
  const { memory_bytes, disk_bytes, inodes, file_bytes } = limits.size;
  const made = [programs, binds, environment, limits.network.mode];
  return JSON.stringify([...made, memory_bytes, disk_bytes, inodes, file_bytes, limits.process]);
}
