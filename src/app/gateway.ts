import { randomUUID } from "node:crypto";
import { asFailure, Failure } from "../contracts/failure.ts";
import type { Log } from "../contracts/log.ts";
import { openGateway } from "../gateway/server.ts";
import { traceIdAt } from "../rules/traceid.ts";
import { connect } from "../store/database.ts";
import type { Running } from "./child.ts";
import type { Config } from "./config.ts";
import { refuserBy } from "./outbound.ts";
import { version } from "./paths.ts";
import { followPolicy } from "./policies.ts";

/** Opens the gateway: its own connections, the operator's route policies, the clock and the source of trace ids. */
export async function runGateway(
  config: Config,
  { databaseUrl, log }: { databaseUrl: string; log: Log },
): Promise<Running> {
  const sql = connect(databaseUrl, { max: 6 });
  const policies = await followPolicy("route_policies.json", { folder: config.configDir, sql, log });
  const orchestrator = await followPolicy("orchestrator.json", { folder: config.configDir, sql, log });
  const approvals = await followPolicy("approvals.json", { folder: config.configDir, sql, log });
  const limits = await followPolicy("limits.json", { folder: config.configDir, sql, log });
  const outbound = await followPolicy("outbound.json", { folder: config.configDir, sql, log });
  const open = (port: number) =>
    openGateway({
      sql,
      listen: { host: config.host, port },
      artifactsBase: config.artifactsBase,
      policies: policies.current,
      adminToken: config.adminToken,
      requireAdminForNonGet: config.requireAdminForNonGet,
      allowRemoteWithoutKeys: false,
      bodyLimit: config.bodyLimit,
      orchestrator: orchestrator.current,
      approvals: approvals.current,
      limits: limits.current,
      refusesAddress: refuserBy(outbound.current),
      log,
      now: () => new Date(),
      newTraceId: () => traceIdAt(Date.now(), randomUUID()),
      version,
    });

  const gateway = await open(config.port).catch((thrown) => {
    if (thrown.code !== "EADDRINUSE") throw asFailure(thrown);
    if (config.portAutofree) return open(0);
    throw new Failure(
      "conflict",
      `port ${config.port} is taken: set PORT to another, or PORT_AUTOFREE=true to take any`,
    );
  });
  return {
    facts: { url: gateway.url },
    async stop() {
      policies.stop();
      outbound.stop();
      orchestrator.stop();
      approvals.stop();
      limits.stop();
      await gateway.close();
      await sql.end({ timeout: 5 });
    },
  };
}
