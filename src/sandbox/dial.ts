import { WebSocket } from "ws";
import type { Log } from "../contracts/log.ts";
import { maxFrameBytes } from "./link.ts";

const firstMs = 100;
const mostMs = 10_000;

/** Keeps a connection to a hub: dials, and dials again when it is lost, after 100 ms at first and 10 s at most. */
export function dial(
  url: string,
  { token, ca, log, onOpen }: { token: string; ca?: string; log: Log; onOpen: (socket: WebSocket) => void },
): { stop(): void } {
  let stopped = false;
  let delayMs = firstMs;
  let timer: NodeJS.Timeout | undefined;
  let current: WebSocket | null = null;
  let told = "";

  function again(why: string): void {
    if (stopped) return;
    if (why !== told) log.warn({ hub: url, why, again_ms: delayMs }, "the hub is out of reach");
    told = why;
    timer = setTimeout(open, delayMs);
    delayMs = Math.min(mostMs, delayMs * 2);
  }
  function open(): void {
    const headers = { authorization: `Bearer ${token}` };
    const socket = new WebSocket(url, {
      headers,
      maxPayload: maxFrameBytes,
      perMessageDeflate: false,
      handshakeTimeout: 10_000,
      ...(ca !== undefined && { ca }),
    });
    current = socket;
    let why = "it closed the connection";
    socket.on("open", () => {
      delayMs = firstMs;
      told = "";
      log.info({ hub: url }, "connected to a hub");
      onOpen(socket);
    });
    socket.on("error", (error) => {
      why = error.message.includes("401") ? "it refuses this worker's token (SANDBOX_TOKEN)" : error.message;
    });
    socket.on("close", () => again(why));
  }
  open();
  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
      if (current && current.readyState === WebSocket.CONNECTING) current.terminate();
    },
  };
}
