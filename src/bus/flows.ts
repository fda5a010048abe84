import type { Asked, Took } from "../store/claims.ts";
import type { Flow } from "../store/messages.ts";

/** A flow is the messages of one tenant, of one priority, on one lane. This one had some when we last heard of it. */
type Waiting = Flow & { heardMs: number };

/** The lanes of our roles. `mine`: leased to us; `closed`: nothing may be claimed there now. */
export type Lanes = ReadonlyMap<number, { mine: boolean; closed: boolean }>;

export type Wish = { asked: Asked[]; own: boolean }; // own: of lanes that are leased to us

/** Where a worker looks next. No database, no clock: both are handed in. */
export type Flows = {
  /** There are messages, as far as we heard. */
  hear(flows: Flow[], nowMs: number): void;
  /** What to ask for when `limit` may be taken: our own lanes first, those of others only when ours are empty. */
  ask(lanes: Lanes, limit: number, nowMs: number): Wish;
  /** What came of it. A flow that gave less than was asked of it is empty, unless others took from it at that moment. */
  took(flows: Took[], wish: Wish, { limit, contested }: { limit: number; contested: boolean }): void;
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
  const last = new Map<string, number>(); // the highest seq taken from a flow; some of that row may be left
  let settled = 0;
  let turn = 0; // so that those beyond `askedMost` have their turn too

  function split(lanes: Lanes): { own: Waiting[]; foreign: Waiting[] } {
    const own: Waiting[] = [];
    const foreign: Waiting[] = [];
    for (const flow of waiting.values()) {
      const lane = lanes.get(flow.lane);
      if (lane && !lane.closed) (lane.mine ? own : foreign).push(flow);
    }
    return { own, foreign };
  }

  return {
    hear(flows, nowMs) {
      for (const flow of flows) {
        const key = keyOf(flow);
        if (!waiting.has(key)) waiting.set(key, { ...flow, heardMs: nowMs });
      }
    },
    ask(lanes, limit, nowMs) {
      const { own, foreign } = split(lanes);
      const all = own.length > 0 ? own : foreign.filter(({ heardMs }) => nowMs - heardMs >= courtesyMs);
      turn = all.length > askedMost ? (turn + askedMost) % all.length : 0;
      const asked =
        turn === 0 ? all.slice(0, askedMost) : [...all.slice(turn), ...all.slice(0, turn)].slice(0, askedMost);
      const sharers = new Map<number, number>(); // of each priority
      for (const { priority } of asked) sharers.set(priority, (sharers.get(priority) ?? 0) + 1);
      return {
        own: own.length > 0,
        asked: asked.map((flow) => ({
          ...flow,
          most: Math.ceil(limit / (sharers.get(flow.priority) ?? 1)),
          low: String(Math.min(last.get(keyOf(flow)) ?? 0, settled)),
        })),
      };
    },
    took(flows, { asked }, { limit, contested }) {
      const counts = new Map<string, number>();
      let all = 0;
      for (const flow of flows) {
        const key = keyOf(flow);
        counts.set(key, flow.count);
        all += flow.count;
        last.set(key, Math.max(last.get(key) ?? 0, flow.seq));
      }
      if (last.size > keptMost) last.clear();
      if (contested || all >= limit) return;
      for (const flow of asked) {
        const key = keyOf(flow);
        if ((counts.get(key) ?? 0) < flow.most) waiting.delete(key);
      }
    },
    settledBelow(seq) {
      settled = Math.max(settled, seq);
    },
    doubt() {
      last.clear();
    },
    nextMs(lanes, nowMs) {
      const { own, foreign } = split(lanes);
      if (own.length > 0) return 0;
      if (foreign.length === 0) return null;
      return Math.max(0, courtesyMs - Math.max(...foreign.map(({ heardMs }) => nowMs - heardMs)));
    },
  };
}

function keyOf({ lane, priority, tenant }: Flow): string {
  return `${lane} ${priority} ${tenant}`;
}
