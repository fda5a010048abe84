import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { asFailure } from "../contracts/failure.ts";
import type { Log } from "../contracts/log.ts";
import { maxFrameBytes } from "./link.ts";

/** Whose key it is, by its SHA-256; null: nobody's, or nobody's any more. */
export type KeyOf = (sha256: Buffer) => Promise<string | null>;

export type GateOptions = {
  keyOf: KeyOf;
  tls: { cert: string; key: string } | null; // PEM; null: plain
  log: Log;
  onOpen: (socket: WebSocket, from: Dialled) => void;
};

/** Who dialled in: from where, and with which key. */
export type Dialled = { address: string; key: string; sha256: Buffer };

/** An HTTP server that lets in who dials with a known key, and tells everybody else no. */
export function openGate({ keyOf, tls, log, onOpen }: GateOptions): Server {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: maxFrameBytes, perMessageDeflate: false });
  const explain = (_: IncomingMessage, reply: ServerResponse) => {
    reply.writeHead(426, { connection: "close", upgrade: "websocket", "content-type": "text/plain" });
    reply.end("sandbox workers dial in here, over WebSocket\n");
  };
  const server = tls ? createTlsServer(tls, explain) : createServer(explain);

  async function admit(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const address = request.socket.remoteAddress ?? "unknown";
    socket.on("error", () => {}); // it is gone: there is nobody to tell
    const sha256 = digest(bearerOf(request));
    const key = await keyOf(sha256).catch((thrown) => {
      log.error({ from: address, reason: asFailure(thrown).message }, "a sandbox worker's key could not be looked up");
      return undefined;
    });
    if (key === undefined) return void socket.end(no("503 Service Unavailable"));
    if (key === null) {
      log.warn({ from: address }, "a sandbox worker with a wrong token was refused");
      return void socket.end(no("401 Unauthorized"));
    }
    sockets.handleUpgrade(request, socket, head, (opened) => onOpen(opened, { address, key, sha256 }));
  }

  server.on("upgrade", (request, socket, head) => void admit(request, socket, head));
  server.on("clientError", (_, socket) => socket.destroy());
  return server;
}

/** Knows one token, in a time that says nothing about how much of it was right; then asks whoever knows others. */
export function knowing(token: string | null, others: KeyOf = async () => null): KeyOf {
  const own = token === null ? null : digest(token);
  return async (sha256) => (own && timingSafeEqual(own, sha256) ? "SANDBOX_TOKEN" : others(sha256));
}

function no(status: string): string {
  return `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`;
}

function bearerOf({ headers }: IncomingMessage): string {
  return /^Bearer (.+)$/i.exec(headers.authorization ?? "")?.[1] ?? "";
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
