import { readFile } from "node:fs/promises";
import { SandboxLimits } from "../../src/contracts/limits.ts";
import type { Log } from "../../src/contracts/log.ts";
import type { SandboxRun } from "../../src/contracts/sandbox.ts";
import { inspectHost } from "../../src/sandbox/host.ts";
import { openHub } from "../../src/sandbox/hub.ts";
import { startSandboxWorker } from "../../src/sandbox/worker.ts";

/** True where this machine can isolate in one class at least; tests that need boxes are skipped elsewhere. */
export const canIsolate = Object.values(inspectHost().lacks).some((missing) => missing.length === 0);

/** A real hub with one real worker of two slots behind it, under the shipped limits. */
export async function openSandbox(
  log: Log,
  { depot = null, limits: given }: { depot?: { folder: string; bytes: number } | null; limits?: SandboxLimits } = {},
): Promise<{ run: SandboxRun; close(): Promise<void> }> {
  const limits = given ?? SandboxLimits.parse(JSON.parse(await readFile("configs/sandbox_limits.json", "utf8")));
  const token = "a-token-of-the-test";
  const hub = await openHub({ host: "127.0.0.1", port: 0, token, log });
  const hubs = [`ws://127.0.0.1:${hub.port}`];
  const worker = startSandboxWorker({ hubs, token, limits, slots: 2, depot, log, searchPath: process.env.PATH ?? "" });
  await worker.ready;
  return {
    run: hub.run,
    async close() {
      await worker.stop();
      await hub.close();
    },
  };
}
