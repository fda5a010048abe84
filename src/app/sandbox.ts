import { Failure } from "../contracts/failure.ts";
import type { Log } from "../contracts/log.ts";
import { startSandboxWorker } from "../sandbox/worker.ts";
import type { Running } from "./child.ts";
import { type Config, searchPath } from "./config.ts";
import { loadPolicy, readText } from "./policies.ts";

/** Starts a sandbox worker. It is told its hubs, its token and its limits, and can reach nothing else. */
export async function runSandbox(config: Config, { log }: { log: Log }): Promise<Running> {
  const { hubs, token, caFile, slots, warm, depot } = config.sandbox;
  if (!token) {
    throw new Failure(
      "config_invalid",
      "SANDBOX_TOKEN: is needed to dial the workers of SANDBOX_HUBS; `dagent key NAME --kind sandbox` makes one",
      {
        field: "SANDBOX_TOKEN",
      },
    );
  }
  const limits = await loadPolicy(config.configDir, "sandbox_limits.json");
  const ca = caFile === null ? {} : { ca: await readText(caFile) };
  const wish = { hubs, token, ...ca, limits, slots, warm, depot, log, searchPath: searchPath() };
  const worker = startSandboxWorker(wish);
  return { facts: await worker.ready, stop: () => worker.stop() };
}
