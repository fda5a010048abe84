import { z } from "zod";
import { connect } from "../../src/store/database.ts";
import { loadPeer } from "./peers.ts";
import type { Body, System } from "./system.ts";

type Boss = {
  on(event: "error", heard: (error: unknown) => void): void;
  start(): Promise<unknown>;
  stop(options: { graceful: boolean }): Promise<void>;
  createQueue(name: string, options: Record<string, unknown>): Promise<void>;
  send(name: string, data: unknown): Promise<unknown>;
  insert(name: string, jobs: { data: unknown }[]): Promise<unknown>;
  work(
    name: string,
    options: Record<string, unknown>,
    handler: (jobs: { data: Body }[]) => Promise<void>,
  ): Promise<unknown>;
};

/** What is used of pg-boss. */
const Peer = z.object({
  PgBoss: z.custom<new (options: Record<string, unknown>) => Boss>((value) => typeof value === "function"),
});

/** Its pages "Queues" and "Workers": a table of its own, wake-ups, large batches, and no pause while they come back full. */
const settings = {
  queue: { partition: true, notify: true },
  instance: { useListenNotify: true, schedule: false },
  work: { batchSize: 1000, localConcurrency: 2, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 },
};

/** pg-boss. A batch is settled as a whole (its default, and the fastest); jobs that are done stay in the table. */
export async function openPgBoss(): Promise<System> {
  const { module, version } = await loadPeer("pg-boss");
  const { PgBoss } = Peer.parse(module);

  async function start(url: string, options: Record<string, unknown>): Promise<Boss> {
    const boss = new PgBoss({ connectionString: url, ...options });
    boss.on("error", console.error);
    await boss.start();
    return boss;
  }

  return {
    version,
    settings,

    async prepare(url) {
      const boss = await start(url, { supervise: false, schedule: false });
      await boss.createQueue("echo", settings.queue);
      await boss.stop({ graceful: false });
    },

    async client(url, inFlight) {
      const boss = await start(url, { supervise: false, schedule: false, max: inFlight });
      const sql = connect(url, { max: 1 });
      return {
        async batch(bodies) {
          await boss.insert(
            "echo",
            bodies.map((data) => ({ data })),
          );
        },
        async single(body) {
          await boss.send("echo", body);
        },
        async left() {
          const [row] = await sql`select 1 where exists (select from pgboss.job where state < 'completed')`;
          return row !== undefined;
        },
        async close() {
          await boss.stop({ graceful: false });
          await sql.end();
        },
      };
    },

    async work(url, begun) {
      const boss = await start(url, settings.instance);
      await boss.work("echo", settings.work, async (jobs) => {
        for (const { data } of jobs) begun(data.n);
      });
    },
  };
}
