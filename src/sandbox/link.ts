import type { RawData, WebSocket } from "ws";
import type { z } from "zod";
import { decodeChunk, encodeChunk, type WireChunk } from "./chunk.ts";

/** The largest frame either side takes: a run with 20,000 long paths is the largest there is. */
export const maxFrameBytes = 33_554_432;

/** One end of a connection between a worker and a hub. */
export type Link<Out> = {
  send(frame: Out): void;
  sendChunk(chunk: WireChunk): void;
  close(why: string): void; // the other side reads why
};

/** What an end does with what it hears. */
export type Ears<In, Out> = {
  accepts: z.ZodType<In>; // anything else ends the connection
  ping: () => Out; // what to say at a steady pace
  pingMs: number; // the pace; three times as long without a word, and the other side is lost
  onFrame(frame: In): void;
  onChunk(chunk: WireChunk): void;
  onEnd(why: string): void; // once
};

/**
 * Speaks frames over an open socket. What is no frame (garbage, half a frame, too large a one) ends this connection with
 * code 1008, and nothing else.
 */
export function openLink<In, Out>(socket: WebSocket, ears: Ears<In, Out>): Link<Out> {
  let heardAt = performance.now();
  let why = "the connection was closed";
  const beat = setInterval(() => {
    if (performance.now() - heardAt > 3 * ears.pingMs) return lose("nothing was heard for three pings");
    link.send(ears.ping());
  }, ears.pingMs);

  function lose(reason: string): void {
    why = reason;
    socket.terminate();
  }
  function refuse(reason: string): void {
    why = reason;
    socket.close(1008, reason.slice(0, 120));
    setTimeout(() => socket.terminate(), ears.pingMs).unref();
  }
  function hearChunk(bytes: Buffer): void {
    const chunk = decodeChunk(bytes);
    if (chunk) ears.onChunk(chunk);
    else refuse("a binary frame that is no chunk");
  }
  function hearFrame(bytes: Buffer): void {
    const { success, data, error } = ears.accepts.safeParse(json(bytes));
    if (success) ears.onFrame(data);
    else refuse(`not a frame: ${error.issues[0]?.path.join(".") || "it"} ${error.issues[0]?.message}`);
  }
  function hear(content: RawData, binary: boolean): void {
    heardAt = performance.now();
    if (socket.readyState !== socket.OPEN) return;
    const bytes = Array.isArray(content)
      ? Buffer.concat(content)
      : content instanceof ArrayBuffer
        ? Buffer.from(content)
        : content;
    if (binary) hearChunk(bytes);
    else hearFrame(bytes);
  }

  socket.on("message", hear);
  socket.on("error", (error) => {
    why = error.message;
  });
  socket.on("close", (code, reason) => {
    clearInterval(beat);
    ears.onEnd(reason.length > 0 ? reason.toString() : code === 1006 || code === 1008 ? why : `${why} (${code})`);
  });

  const link: Link<Out> = {
    send: (frame) => say(socket, JSON.stringify(frame)),
    sendChunk: (chunk) => say(socket, encodeChunk(chunk)),
    close(reason) {
      socket.close(1000, reason.slice(0, 120));
      setTimeout(() => socket.terminate(), 1000).unref();
    },
  };
  return link;
}

function say(socket: WebSocket, message: string | Buffer): void {
  if (socket.readyState === socket.OPEN) socket.send(message, () => {}); // an error closes it, and the end is told there
}

function json(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}
