import type { FastifyRequest } from "fastify";
import type { Trace } from "../store/traces.ts";
import type { Feed } from "./stream.ts";

const longestMs = 600_000;

/**
 * How long the caller would wait for the end, in milliseconds: `Prefer: wait=30` (RFC 7240, section 4.3), at most ten
 * minutes. Null: not at all, or nothing that can be read, which a preference may be.
 */
export function waitMsIn({ headers }: Pick<FastifyRequest, "headers">): number | null {
  const said = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:[,;]|$)/i.exec([headers.prefer ?? ""].flat().join(","));
  return said ? Math.min(longestMs, Number(said[1]) * 1000) : null;
}

/** A trace as it stands when it is over, when the time is, or when the caller has gone. See Feed.ended. */
export async function untilEnd(
  { request, feed }: { request: FastifyRequest; feed: Feed },
  wish: { traceId: string; tenant: string },
  { withinMs, fresh }: { withinMs: number; fresh: boolean },
): Promise<Trace | null> {
  const { socket } = request.raw;
  const gone = new AbortController();
  const leave = () => gone.abort();
  socket.setTimeout(0); // nothing is sent before the end
  socket.once("close", leave);
  if (socket.destroyed) leave(); // nobody will tell
  try {
    return await feed.ended(wish, { withinMs, fresh, gone: gone.signal });
  } finally {
    socket.off("close", leave);
  }
}
