import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Failure } from "../contracts/failure.ts";
import type { Log } from "../contracts/log.ts";
import type { Database } from "../store/database.ts";
import { type BusEvent, eventsInOrder } from "../store/events.ts";
import { listenToSaid } from "../store/tokens.ts";
import { type Trace, traceOf } from "../store/traces.ts";
import { listen } from "../store/wake.ts";
import { type Bell, newBell } from "./bell.ts";

const pollMs = 1000; // how long a lost wake-up can cost
const breathMs = 40; // news that come in so short a time are read at once; the end is never kept waiting
const page = 200; // events in memory at one time, per stream
const streamsMax = 256;

/** Live traces for all streams of one gateway: one LISTEN connection, opened with the first stream. */
export type Feed = {
  /** A trace's events after an id, then its answer or failure, as server-sent events. Throws `too_many_requests`. */
  open(wish: Wish): Readable;
  /**
   * Waits until a trace is over, for at most `withinMs`; answers it as it stands then, null when there is none.
   * `fresh`: it was just let in. Throws `too_many_requests`.
   */
  ended(
    wish: Omit<Wish, "after">,
    wait: { withinMs: number; fresh: boolean; gone: AbortSignal },
  ): Promise<Trace | null>;
  close(): Promise<void>;
};

type Wish = { traceId: string; tenant: string; after: string };

export type FeedOptions = { sql: Database; log: Log; heartbeatMs?: number };

export function openFeed({ sql, log, heartbeatMs = 15_000 }: FeedOptions): Feed {
  const bells = new Map<string, Set<Bell>>(); // by trace
  let closing = false;
  let listening: Promise<() => Promise<void>> | null = null;
  let streams = 0;
  let listeningToSaid: Promise<() => Promise<void>> | null = null;

  function hear(): void {
    listeningToSaid ??= listenToSaid(sql, ({ trace_id, round, text }) => {
      for (const bell of bells.get(trace_id) ?? []) bell.say({ round, text });
    });
    listeningToSaid.catch(() => {
      listeningToSaid = null; // who follows hears the answer all the same
    });
    listening ??= listen(sql, (hint) => {
      const ended = new Set(hint?.ended ?? bells.keys());
      for (const traceId of hint ? hint.traces : bells.keys())
        for (const bell of bells.get(traceId) ?? []) bell.ring(ended.has(traceId));
    });
    listening.catch((error) => {
      log.warn({ reason: error.message }, "no wake-ups: streams poll");
      listening = null;
    });
  }

  /** A bell for a trace, and how it is taken down. */
  function hang(traceId: string): { bell: Bell; takeDown: () => void } {
    if (streams >= streamsMax) {
      throw new Failure("too_many_requests", `${streamsMax} streams are open; read the trace without a stream`);
    }
    streams += 1;
    hear();
    const bell = newBell();
    if (closing) bell.end();
    const shared = bells.get(traceId) ?? new Set();
    bells.set(traceId, shared.add(bell));
    const takeDown = () => {
      streams -= 1;
      bell.end();
      shared.delete(bell);
      if (shared.size === 0) bells.delete(traceId);
    };
    return { bell, takeDown };
  }

  return {
    open(wish) {
      const { bell, takeDown } = hang(wish.traceId);
      const stream = Readable.from(frames(wish, { sql, log, heartbeatMs, bell }), { objectMode: false });
      stream.once("close", takeDown);
      return stream;
    },
    async ended({ traceId, tenant }, { withinMs, fresh, gone }) {
      const { bell, takeDown } = hang(traceId);
      gone.addEventListener("abort", bell.end, { once: true });
      if (gone.aborted) bell.end();
      const until = performance.now() + withinMs;
      try {
        if (fresh) await bell.calm(Math.min(pollMs, withinMs)); // nothing of it can be over yet
        for (;;) {
          bell.muffle();
          const trace = await traceOf(sql, traceId, tenant);
          const leftMs = until - performance.now();
          if (trace?.status !== "open" || leftMs <= 0 || bell.over) return trace;
          await bell.calm(Math.min(pollMs, leftMs));
        }
      } finally {
        gone.removeEventListener("abort", bell.end);
        takeDown();
      }
    },
    async close() {
      closing = true;
      for (const bell of [...bells.values()].flatMap((shared) => [...shared])) bell.end();
      for (const one of [listening, listeningToSaid]) await (await one?.catch(() => null))?.();
    },
  };
}

/** Nothing is read from the database before the reader has taken what there was: a slow one holds one page. */
async function* frames(
  { traceId, tenant, after }: Wish,
  { sql, log, heartbeatMs, bell }: Required<FeedOptions> & { bell: Bell },
): AsyncGenerator<string> {
  yield `retry: ${pollMs}\n\n`;
  let last = after;
  let spokeAt = performance.now();
  let doubtful = true; // whether the trace may have ended
  try {
    while (!bell.over) {
      doubtful = bell.muffle() || doubtful;
      const trace = doubtful ? await traceOf(sql, traceId, tenant) : null; // before its events: an ended trace has them all
      if (doubtful && !trace) return;
      const whole = trace !== null && trace.status !== "open";
      for (let events = await read(last, whole); events.length > 0; events = await read(last, whole)) {
        for (const [n, event] of events.entries()) {
          // Events of one id belong together: a reader who comes back with it has seen them all.
          yield frame(event.kind, event, events[n + 1]?.id === event.id ? null : event.id);
          last = event.id;
        }
        spokeAt = performance.now();
        if (events.length < page) break;
      }
      for (const words of bell.said()) yield frame("token", words, null);
      if (trace && whole) {
        yield lastFrame(trace);
        return;
      }
      doubtful = !(await bell.rung(Math.min(pollMs, heartbeatMs)));
      if (!doubtful) await bell.calm(breathMs);
      if (performance.now() - spokeAt < heartbeatMs) continue;
      yield ": still here\n\n";
      spokeAt = performance.now();
    }
  } catch (error) {
    // The status line is long gone. The reader comes back with its Last-Event-ID and is told then.
    log.warn({ trace_id: traceId, reason: error instanceof Error ? error.message : error }, "a stream broke off");
  }

  function read(from: string, whole: boolean): Promise<BusEvent[]> {
    return eventsInOrder(sql, traceId, { after: from, limit: page, whole });
  }
}

/** JSON has no raw line breaks, so one `data` line holds it all. */
function frame(name: string, content: unknown, id: string | null): string {
  return `${id === null ? "" : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(content)}\n\n`;
}

function lastFrame({ answer, failure }: Trace): string {
  return answer ? frame("answer", answer, null) : frame("failure", failure, null);
}

/** True when the caller asks for server-sent events. */
export function wantsStream({ method, headers }: FastifyRequest): boolean {
  const types = (headers.accept ?? "").split(",").map((type) => type.split(";")[0]?.trim().toLowerCase());
  return method !== "HEAD" && types.includes("text/event-stream");
}

/** Where a reader that comes back goes on: the id of the last event it saw. */
export function lastEventId({ headers }: FastifyRequest): string {
  const said = headers["last-event-id"] ?? "0";
  if (typeof said === "string" && /^\d{1,18}$/.test(said)) return said;
  throw new Failure("invalid_request", "Last-Event-ID is not the id of an event", {
    errors: [{ in: "header", path: "/last-event-id", message: "is the id of an event: digits" }],
  });
}

/** Answers with a stream. Proxies are told not to hold it back. */
export function sendStream(reply: FastifyReply, stream: Readable): FastifyReply {
  return reply
    .code(200)
    .header("content-type", "text/event-stream; charset=utf-8")
    .header("cache-control", "no-store, no-transform")
    .header("x-accel-buffering", "no")
    .send(stream);
}
