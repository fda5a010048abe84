import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { Failure } from "../contracts/failure.ts";
import { EventView, FailureView } from "../contracts/http.ts";
import { Answer } from "../contracts/message.ts";
import { ask, type Door } from "./request.ts";
import { type Frame, framesOf } from "./sse.ts";

/** What is heard of a trace: events, then its one end. */
export type News =
  | { name: "event"; event: EventView }
  | { name: "token"; round: number; text: string } // only when asked for
  | { name: "answer"; answer: Answer }
  | { name: "failure"; failure: FailureView };

export type FollowOptions = {
  after?: string;
  signal?: AbortSignal;
  tokens?: boolean; // hear a model's words while it speaks; some may be missing, the answer has them all
};

const patience = 10; // connections in a row that bring nothing new

/**
 * Follows a trace to its end, from the event behind `after`. A connection that breaks is opened again where it broke;
 * each event comes once; a trace that waits for somebody may be followed for days. Throws the gateway's Failure when it refuses, `gateway_unreachable` when it stays away, and
 * the signal's reason when that fires.
 */
export async function* follow(
  door: Door,
  traceId: string,
  { after = "0", signal, tokens = false }: FollowOptions,
): AsyncGenerator<News, void> {
  let last = after;
  let waitMs = 1000;
  let why: unknown = null;
  for (let vain = 0; vain < patience; vain += 1) {
    if (vain > 0) await pause(waitMs, undefined, signal && { signal });
    try {
      for await (const frame of framesOf(await open(last))) {
        waitMs = frame.retryMs ?? waitMs;
        if (frame.name === "comment") vain = 0; // a beat: nothing is new, and all is well
        const news = newsOf(frame);
        if (!news || (news.name === "token" && !tokens)) continue;
        if (frame.id !== null && BigInt(frame.id) <= BigInt(last)) continue;
        vain = 0;
        last = frame.id ?? last;
        yield news;
        if (news.name === "answer" || news.name === "failure") return;
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof Failure && !error.retry) throw error;
      why = error;
    }
  }
  throw new Failure("gateway_unreachable", `the stream of trace ${traceId} broke ${patience} times with nothing new`, {
    cause: why,
  });

  async function open(from: string): Promise<ReadableStream<Uint8Array>> {
    const headers = { accept: "text/event-stream", "last-event-id": from };
    const path = `/api/traces/${encodeURIComponent(traceId)}`;
    const { body } = await ask(door, { path, headers, ...(signal && { signal }) });
    if (!body) throw new Failure("gateway_unreachable", "the gateway answered a stream without a body");
    return body;
  }
}

const Words = z.object({ round: z.number(), text: z.string() });

function newsOf({ name, text }: Frame): News | null {
  if (text === "") return null;
  const content: unknown = JSON.parse(text);
  if (name === "answer") return { name, answer: Answer.parse(content) };
  if (name === "token") return { name, ...Words.parse(content) };
  if (name === "failure") return { name, failure: FailureView.parse(content) };
  return { name: "event", event: EventView.parse(content) };
}
