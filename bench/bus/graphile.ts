import { z } from "zod";
import { connect } from "../../src/store/database.ts";
import { loadPeer } from "./peers.ts";
import type { Body, System } from "./system.ts";

type Job = { identifier: string; payload: unknown };
type Utils = {
  migrate(): Promise<void>;
  addJob(identifier: string, payload: unknown): Promise<unknown>;
  addJobs(jobs: Job[]): Promise<unknown>;
  release(): Promise<void>;
};
type Run = (options: {
  preset: { worker: Record<string, unknown> };
  taskList: Record<string, (payload: unknown) => Promise<void>>;
  parsedCronItems: [];
  noHandleSignals: boolean;
}) => Promise<unknown>;

/** What is used of graphile-worker. */
const Peer = z.object({
  run: fn<Run>(),
  makeWorkerUtils: fn<(options: { preset: { worker: Record<string, unknown> } }) => Promise<Utils>>(),
  Logger: fn<new (factory: () => () => void) => unknown>(),
});

/** Its page "Performance": 24 jobs at one time, a local queue of 500, completions in batches without delay. */
const settings = {
  concurrentJobs: 24,
  maxPoolSize: 25,
  localQueue: { size: 500 },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
};

/** graphile-worker. A job that is done is deleted; it keeps no history. */
export async function openGraphile(): Promise<System> {
  const { module, version } = await loadPeer("graphile-worker");
  const { run, makeWorkerUtils, Logger } = Peer.parse(module);
  const logger = new Logger(() => () => {});
  const utilsOf = (url: string, maxPoolSize: number) =>
    makeWorkerUtils({ preset: { worker: { connectionString: url, maxPoolSize, logger } } });

  return {
    version,
    settings: { ...settings, NO_LOG_SUCCESS: true },

    async prepare(url) {
      const utils = await utilsOf(url, 2);
      await utils.migrate();
      await utils.release();
    },

    async client(url, inFlight) {
      const utils = await utilsOf(url, Math.max(2, inFlight));
      const sql = connect(url, { max: 1 });
      return {
        async batch(bodies) {
          await utils.addJobs(bodies.map((payload) => ({ identifier: "echo", payload })));
        },
        async single(body) {
          await utils.addJob("echo", body);
        },
        async left() {
          const [row] = await sql`select 1 where exists (select from graphile_worker._private_jobs)`;
          return row !== undefined;
        },
        async close() {
          await utils.release();
          await sql.end();
        },
      };
    },

    async work(url, begun) {
      await run({
        preset: { worker: { ...settings, connectionString: url, logger } },
        taskList: { echo: async (payload) => begun(Number((payload as Body).n)) },
        parsedCronItems: [],
        noHandleSignals: true,
      });
    },
  };
}

function fn<F>() {
  return z.custom<F>((value) => typeof value === "function");
}
