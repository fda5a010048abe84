import type { Asked, Took } from "../store/claims.ts";
import type { Flow } from "../store/messages.ts";

/** A flow is the messages of one tenant, of one priority, on one lane. This one had some when we last heard of it. */
type Waiting = Flow & { heardMs: number; fullUntilMs: number };

/** The lanes of our roles. `mine`: leased to us; `closed`: nothing may be claimed there now. */
export type Lanes = ReadonlyMap<number, { mine: boolean; closed: boolean }>;

/** What was taken from a flow last: the highest seq (some of that row may be left), and how many rows a message took. */
type Last = { seq: number; rowsEach: number };

export type Wish = { asked: Asked[]; own: boolean }; // own: of lanes that are leased to us

/** Where a worker looks next. No database, no clock: both are handed in. */
export type Flows = {
  /** There are messages, as far as we heard. */
  hear(flows: Flow[], nowMs: number): void;
  /** What to ask for when `limit` may be taken: our own lanes first, those of others only when ours are empty. */
  ask(lanes: Lanes, limit: number, nowMs: number): Wish;
  /** What came of it. A flow that gave less than was asked of it is empty, unless others took from it at that moment. */
  took(flows: Took[], asked: Asked[], { limit, contested }: { limit: number; contested: boolean }): void;
  /** Nothing of these may be taken before `untilMs`: as many as may be are in hand. */
  full(flows: Flow[], untilMs: number): void;
  /** Some of what was in hand is not any more. */
  room(): void;
  /** Whether nothing waits on a lane, as far as we heard. */
  isQuiet(lane: number): boolean;
  /** Below this seq no transaction is open any more: what is there, is visible. */
  settledBelow(seq: number): void;
  /** Looks at everything again, once: rows may have come back below what was taken. */
  doubt(): void;
  /** In how many milliseconds there is something to ask for; null: not before we hear of it. */
  nextMs(lanes: Lanes, nowMs: number): number | null;
};

/** The worker that a lane is leased to has this long to be first. */
const courtesyMs = 30;
const askedMost = 256;
const keptMost = 20_000;

export function openFlows(): Flows {
  const waiting = new Map<string, Waiting>();
  const last = new Map<string, Last>();
  let settled = 0;
  let turn = 0; // so that those beyond `askedMost` have their turn too

  function split(lanes: Lanes, nowMs: number): { own: Waiting[]; foreign: Waiting[]; fullMs: number | null } {
    const own: Waiting[] = [];
    const foreign: Waiting[] = [];
    let fullMs: number | null = null;
    for (const flow of waiting.values()) {
      const lane = lanes.get(flow.lane);
      if (!lane || lane.closed) continue;
      if (flow.fullUntilMs > nowMs) fullMs = Math.min(fullMs ?? Number.POSITIVE_INFINITY, flow.fullUntilMs - nowMs);
      else (lane.mine ? own : foreign).push(flow);
    }
    return { own, foreign, fullMs };
  }

  return {
    hear(flows, nowMs) {
      for (const flow of flows) {
        const key = keyOf(flow);
        if (!waiting.has(key)) waiting.set(key, { ...flow, heardMs: nowMs, fullUntilMs: 0 });
      }
    },
    ask(lanes, limit, nowMs) {
      const { own, foreign } = split(lanes, nowMs);
      const all = own.length > 0 ? own : foreign.filter(({ heardMs }) => nowMs - heardMs >= courtesyMs);
      turn = all.length > askedMost ? (turn + askedMost) % all.length : 0;
      const asked =
        turn === 0 ? all.slice(0, askedMost) : [...all.slice(turn), ...all.slice(0, turn)].slice(0, askedMost);
      const sharers = new Map<number, number>(); // of each priority
      for (const { priority } of asked) sharers.set(priority, (sharers.get(priority) ?? 0) + 1);
      return {
        own: own.length > 0,
        asked: asked.map((flow) => {
          const { seq, rowsEach } = last.get(keyOf(flow)) ?? { seq: 0, rowsEach: 1 };
          const most = Math.ceil(limit / (sharers.get(flow.priority) ?? 1));
          const rows = Math.min(most, Math.ceil(most * rowsEach * 1.25) + 2);
          return { ...flow, most, rows, low: String(Math.min(seq, settled)) };
        }),
      };
    },
    took(flows, asked, { limit, contested }) {
      const came = new Map<string, Took>();
      let all = 0;
      for (const flow of flows) {
        const key = keyOf(flow);
        const { count, rows, seq } = flow;
        came.set(key, flow);
        all += count;
        last.set(key, { seq: Math.max(last.get(key)?.seq ?? 0, seq), rowsEach: rows / count });
      }
      if (last.size > keptMost) last.clear();
      if (contested || all >= limit) return;
      for (const flow of asked) {
        const key = keyOf(flow);
        const { count, rows } = came.get(key) ?? { count: 0, rows: 0 };
        if (count < flow.most && rows < flow.rows) waiting.delete(key);
      }
    },
    full(flows, untilMs) {
      for (const flow of flows) {
        const known = waiting.get(keyOf(flow));
        if (known) known.fullUntilMs = untilMs;
      }
    },
    room() {
      for (const flow of waiting.values()) flow.fullUntilMs = 0;
    },
    isQuiet(lane) {
      for (const flow of waiting.values()) if (flow.lane === lane) return false;
      return true;
    },
    settledBelow(seq) {
      settled = Math.max(settled, seq);
    },
    doubt() {
      last.clear();
    },
    nextMs(lanes, nowMs) {
      const { own, foreign, fullMs } = split(lanes, nowMs);
      if (own.length > 0) return 0;
      if (foreign.length === 0) return fullMs;
      return Math.max(0, courtesyMs - Math.max(...foreign.map(({ heardMs }) => nowMs - heardMs)));
    },
  };
}

function keyOf({ lane, priority, tenant }: Flow): string {
  return `${lane} ${priority} ${tenant}`;
}
