import { serve } from "../../app/child.ts";
import { readConfig } from "../../app/config.ts";
import { openDatabase } from "../../app/launcher.ts";
import { openLog } from "../../app/log.ts";

/** `dagent gateway`: the HTTP door alone. */
export async function gateway(): Promise<void> {
  const config = readConfig();
  const log = openLog("gateway", config.logLevel);
  await serve(log, async () => {
    const { runGateway } = await import("../../app/gateway.ts");
    const { url } = await openDatabase(config);
    return runGateway(config, { databaseUrl: url, log });
  });
}

/** `dagent worker`: claims and carries out. */
export async function worker(): Promise<void> {
  const config = readConfig();
  const log = openLog("worker", config.logLevel);
  await serve(log, async () => {
    const { runWorker } = await import("../../app/worker.ts");
    const { url } = await openDatabase(config);
    return runWorker(config, { databaseUrl: url, log });
  });
}

/** `dagent sandbox`: runs strangers' code, and can reach nothing but its hubs. */
export async function sandbox(): Promise<void> {
  const config = readConfig();
  const log = openLog("sandbox", config.logLevel);
  await serve(log, async () => {
    const { runSandbox } = await import("../../app/sandbox.ts");
    return runSandbox(config, { log });
  });
}
