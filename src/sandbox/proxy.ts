import { lookup } from "node:dns/promises";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from "node:http";
import { connect, isIP, type Server } from "node:net";
import type { Duplex } from "node:stream";
import type { Network } from "../contracts/network.ts";
import { isListed, mayReach, plainHost } from "./allow.ts";

/** What a proxy tells about: who was not let through and why, or that its bytes are spent. */
export type Refusal = { limit: string | number; observed: string | number };

export type ProxyOptions = {
  network: Network;
  onRefused(refusal: Refusal): void;
  resolve?: (name: string) => Promise<string[]>; // addresses of a name; left out: as this host does
};

/** A proxy at work. `reached` counts connections by `host:port`. */
export type OpenProxy = { reached: Map<string, number>; close(): void };

/** Where a connection goes: the address that was checked, so that what was asked once is what is connected to. */
type Target = { host: string; port: number; address: string };

/** A no that is told to whoever asked, and, when it is a matter of the list, to the run. */
class Refused extends Error {
  readonly status: number;
  readonly listed: boolean;

  constructor(status: number, message: string, { listed = true } = {}) {
    super(message);
    this.status = status;
    this.listed = listed;
  }
}

const most = { connections: 64, headMs: 10_000, silentMs: 120_000 };

/**
 * Serves HTTP's two ways of asking a proxy, CONNECT and the whole address, on a server that listens already. It connects
 * only to hosts and ports of the list, and only to an address that is public or is listed itself; it connects to the very
 * address it has checked. Bytes are counted both ways together.
 */
export function serveProxy(server: Server, { network, onRefused, resolve = addressesOf }: ProxyOptions): OpenProxy {
  const reached = new Map<string, number>();
  const open = new Set<Duplex>();
  let left = network.bytes;

  async function targetOf(host: string, port: number): Promise<Target> {
    const plain = plainHost(host);
    const asked = `${host.slice(0, 253)}:${port}`;
    if (plain === null || !isListed(network.allow, plain, port)) throw new Refused(403, `${asked} is not on the list`);
    const addresses = isIP(plain) ? [plain] : await resolve(plain).catch(() => []);
    if (addresses.length === 0) throw new Refused(502, `${asked} has no address`, { listed: false });
    const address = addresses.find((one) => mayReach(network.allow, one, port));
    if (!address) throw new Refused(403, `${asked} is at ${addresses[0]}, which is no public address and not listed`);
    reached.set(`${plain}:${port}`, (reached.get(`${plain}:${port}`) ?? 0) + 1);
    return { host: plain, port, address };
  }

  /** Counts what flows out of a stream; the run is told once when too much did. */
  function count(stream: Duplex | IncomingMessage): void {
    stream.on("data", (bytes: Buffer) => {
      const before = left;
      left -= bytes.length;
      if (left >= 0) return;
      if (before >= 0) onRefused({ limit: network.bytes, observed: network.bytes - left });
      closeAll();
    });
  }

  function hold<Held extends Duplex>(stream: Held): Held {
    open.add(stream);
    stream.on("error", () => stream.destroy()); // the other end is told by its close
    stream.on("close", () => open.delete(stream));
    return stream;
  }

  function closeAll(): void {
    for (const stream of open) stream.destroy();
  }

  function explain(thrown: unknown): Refused {
    const refused =
      thrown instanceof Refused
        ? thrown
        : new Refused(502, thrown instanceof Error ? thrown.message : String(thrown), { listed: false });
    if (refused.listed) onRefused({ limit: "allowlist", observed: refused.message });
    return refused;
  }

  async function tunnel(message: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    try {
      const [, host, port] = /^(\[[^\]]+\]|[^:]+):(\d{1,5})$/.exec(message.url ?? "") ?? [];
      if (host === undefined) throw new Refused(400, "CONNECT asks for host:port", { listed: false });
      const { address, port: to } = await targetOf(host, Number(port));
      const outside = hold(connect({ host: address, port: to, timeout: most.silentMs }));
      outside.on("timeout", () => outside.destroy());
      await connected(outside);
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      count(client);
      count(outside);
      if (head.length > 0) outside.write(head);
      client.pipe(outside);
      outside.pipe(client);
      client.on("close", () => outside.destroy());
      outside.on("close", () => client.destroy());
    } catch (thrown) {
      const { status, message: why } = explain(thrown);
      client.end(`HTTP/1.1 ${status} Refused\r\nconnection: close\r\ncontent-type: text/plain\r\n\r\n${why}\n`);
    }
  }

  async function forward(message: IncomingMessage, reply: ServerResponse): Promise<void> {
    try {
      const url = URL.canParse(message.url ?? "") ? new URL(message.url ?? "") : null;
      if (url?.protocol !== "http:")
        throw new Refused(400, "a proxy is asked for a whole http: address", { listed: false });
      const { address, port } = await targetOf(url.hostname, Number(url.port || 80));
      const { method } = message;
      const headers = { ...passedOn(message.headers), host: url.host };
      const onward = request({ host: address, port, method, headers, path: url.pathname + url.search, agent: false });
      onward.setTimeout(most.silentMs, () => onward.destroy());
      onward.on("socket", (socket) => hold(socket));
      count(message);
      message.pipe(onward);
      const answer = await new Promise<IncomingMessage>((yes, no) => onward.once("response", yes).once("error", no));
      count(answer);
      reply.writeHead(answer.statusCode ?? 502, passedOn(answer.headers));
      answer.on("error", () => reply.destroy());
      answer.pipe(reply);
    } catch (thrown) {
      const { status, message: why } = explain(thrown);
      if (reply.headersSent) return void reply.destroy();
      reply.writeHead(status, { connection: "close", "content-type": "text/plain" });
      reply.end(`${why}\n`);
    }
  }

  const http = createServer({ headersTimeout: most.headMs, connectionsCheckingInterval: 1000 });
  http.on("request", (message, reply) => void forward(message, reply));
  http.on("connect", (message, client, head) => void tunnel(message, client, head));
  http.on("clientError", (_, socket) => socket.destroy());
  server.maxConnections = most.connections;
  server.on("connection", (socket) => http.emit("connection", hold(socket)));
  return {
    reached,
    close() {
      server.close();
      http.closeAllConnections();
      http.close();
      closeAll();
    },
  };
}

/** Headers that are between two ends only, and not for the next one. */
const betweenTwo = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "host",
]);

function passedOn(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const named = String(headers.connection ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase());
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !betweenTwo.has(name) && !named.includes(name)));
}

function connected(socket: ReturnType<typeof connect>): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
    socket.once("timeout", () => reject(new Error("it does not answer")));
  });
}

async function addressesOf(name: string): Promise<string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}
