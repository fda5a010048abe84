import { readConfig } from "../app/config.ts";
import { runningSystem } from "../app/running.ts";
import { type Client, openClient } from "../client/client.ts";
import { Failure } from "../contracts/failure.ts";

/**
 * The system to talk to: DAGENT_URL, else the one that runs in the data folder; `tenant` whose data is meant, for the key
 * of an operator. Throws `gateway_unreachable`.
 */
export async function openSystem(tenant?: string): Promise<Client> {
  const { gatewayUrl, dataDir, key, adminToken } = readConfig();
  const url = gatewayUrl ?? (await runningSystem(dataDir))?.url;
  if (!url) {
    throw new Failure("gateway_unreachable", "no system runs here: start one with `dagent up`, or set DAGENT_URL");
  }
  return openClient({
    url,
    ...(key ? { token: key } : {}),
    ...(adminToken ? { adminToken } : {}),
    ...(tenant === undefined ? {} : { tenant }),
  });
}
