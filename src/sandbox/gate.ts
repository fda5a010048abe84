import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { Log } from "../contracts/log.ts";
import { maxFrameBytes } from "./link.ts";

/** An HTTP server that lets in who dials with the token, and tells everybody else no. */
export function openGate(
  token: string,
  { log, onOpen }: { log: Log; onOpen: (socket: WebSocket, from: string) => void },
): Server {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: maxFrameBytes, perMessageDeflate: false });
  const server = createServer((_, reply) => {
    reply.writeHead(426, { connection: "close", upgrade: "websocket", "content-type": "text/plain" });
    reply.end("sandbox workers dial in here, over WebSocket\n");
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const from = request.socket.remoteAddress ?? "unknown";
    socket.on("error", () => {}); // it is gone: there is nobody to tell
    if (!isSame(bearerOf(request), token)) {
      log.warn({ from }, "a sandbox worker with a wrong token was refused");
      socket.end("HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
      return;
    }
    sockets.handleUpgrade(request, socket, head, (opened) => onOpen(opened, from));
  });
  server.on("clientError", (_, socket) => socket.destroy());
  return server;
}

function bearerOf({ headers }: IncomingMessage): string {
  return /^Bearer (.+)$/i.exec(headers.authorization ?? "")?.[1] ?? "";
}

/** In a time that says nothing about how much of it was right. */
function isSame(given: string, wanted: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}
