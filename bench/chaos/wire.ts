import { connect, createServer, type Socket } from "node:net";

/** The network between everybody and the database: one address that stays, whatever port the server has now. */
export type Wire = {
  url: string;
  down(): void; // whoever connects from now on is refused
  up(url: string): Promise<void>; // connections lead to the database there
  cut(share: number): number; // breaks this share of the connections, newest first; answers how many
  close(): Promise<void>;
};

/** Opens a wire to the database at `url`. What is under way when a connection breaks is lost, in both directions. */
export async function openWire(url: string): Promise<Wire> {
  let target = new URL(url);
  const lines = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    const end = () => {
      lines.delete(near);
      far.destroy();
      near.destroy();
    };
    lines.add(near);
    for (const side of [near, far]) side.setNoDelay(true).on("error", end).on("close", end);
    near.pipe(far).pipe(near);
  });
  const listen = (port: number) =>
    new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", () => {
        server.off("error", reject);
        resolve();
      });
    });
  await listen(0);
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  const own = new URL(url);
  own.port = String(port);

  return {
    url: own.href,
    down: () => void server.close(),
    async up(now) {
      target = new URL(now);
      await listen(port);
    },
    cut(share) {
      const broken = [...lines].slice(lines.size - Math.ceil(lines.size * share));
      for (const line of broken) line.destroy();
      return broken.length;
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const line of lines) line.destroy();
      await closed;
    },
  };
}
