import type { AddressInfo } from "node:net";
import helmet from "@fastify/helmet";
import type { RouteOptions } from "fastify";
import type { ApprovalPolicy } from "../contracts/approval.ts";
import type { OrchestratorPolicy } from "../contracts/choice.ts";
import { Failure } from "../contracts/failure.ts";
import type { Log } from "../contracts/log.ts";
import type { LimitsPolicy, RoutePolicies } from "../contracts/policy.ts";
import type { Database } from "../store/database.ts";
import { standingOf } from "../store/keys.ts";
import { docsRoutes } from "./docs.ts";
import { openDoor, refuseUnknown, watch } from "./door.ts";
import { isLoopback } from "./guard.ts";
import { agentRoutes } from "./routes/agents.ts";
import { approvalRoutes } from "./routes/approvals.ts";
import { artifactRoutes } from "./routes/artifacts.ts";
import { budgetRoutes } from "./routes/budgets.ts";
import { callbackRoutes } from "./routes/callbacks.ts";
import { chatRoutes } from "./routes/chat.ts";
import { circuitRoutes } from "./routes/circuits.ts";
import { healthRoutes } from "./routes/health.ts";
import { keyRoutes } from "./routes/keys.ts";
import { knowledgeRoutes } from "./routes/knowledge.ts";
import { metricsRoutes } from "./routes/metrics.ts";
import { orchestratorRoutes } from "./routes/orchestrator.ts";
import { traceRoutes } from "./routes/traces.ts";
import { workflowRoutes } from "./routes/workflows.ts";
import { workspaceRoutes } from "./routes/workspaces.ts";
import { openFeed } from "./stream.ts";

export type GatewayOptions = {
  sql: Database;
  listen: { host: string; port: number }; // port 0: any free one
  artifactsBase: string;
  policies: () => RoutePolicies; // asked at every request, so an edit counts at once
  adminToken: string | null;
  requireAdminForNonGet: boolean;
  allowRemoteWithoutKeys: boolean; // true only where something else keeps strangers out
  bodyLimit: number; // bytes
  orchestrator: () => OrchestratorPolicy; // as it is in force now
  approvals: () => ApprovalPolicy;
  limits: () => LimitsPolicy;
  refusesAddress: (url: string) => string | null; // why no agent may be called there; null: it may
  log: Log;
  now: () => Date;
  newTraceId: () => string;
  version: string;
};

/** An open gateway. `close` ends the streams, answers what is under way and stops listening. */
export type Gateway = { url: string; close(): Promise<void> };

const closeGraceMs = 3000;

/**
 * Opens the HTTP door of the system.
 *
 * Throws `config_invalid` when no key is configured and the host is not a loopback one, and the error of `listen`
 * (EADDRINUSE, EACCES) as it is, so that the caller may try another port.
 */
export async function openGateway(options: GatewayOptions): Promise<Gateway> {
  const { sql, listen, log, version, allowRemoteWithoutKeys } = options;
  const local = isLoopback(listen.host);
  if (!local && !allowRemoteWithoutKeys && !(await standingOf(sql, null)).configured) {
    throw new Failure(
      "config_invalid",
      `no key is configured, so the gateway listens on loopback only, not on ${listen.host}: make a key there first`,
      { field: "HOST" },
    );
  }

  const app = openDoor(options);
  const routes: RouteOptions[] = [];
  app.addHook("onRoute", (route) => {
    routes.push(route);
  });
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    strictTransportSecurity: false, // whoever puts TLS in front says that
  });
  watch(app, { ...options, openWithoutKeys: local || allowRemoteWithoutKeys, checkHost: local });
  refuseUnknown(app, { routes, log });

  const feed = openFeed({ sql, log });
  const tools = { ...options, feed };
  for (const add of [
    chatRoutes,
    workspaceRoutes,
    workflowRoutes,
    knowledgeRoutes,
    traceRoutes,
    artifactRoutes,
    metricsRoutes,
    healthRoutes,
    budgetRoutes,
    circuitRoutes,
    keyRoutes,
    agentRoutes,
    orchestratorRoutes,
    approvalRoutes,
    callbackRoutes,
  ]) {
    add(app, tools);
  }
  docsRoutes(app, { routes, version });
  await app.listen(listen);

  return {
    url: urlOf(app.server.address(), listen.host),
    async close() {
      await feed.close();
      const overdue = setTimeout(() => app.server.closeAllConnections(), closeGraceMs);
      await app.close();
      clearTimeout(overdue);
    },
  };
}

/** Where a client on this machine finds us. */
function urlOf(address: AddressInfo | string | null, host: string): string {
  if (address === null || typeof address === "string") throw new Error("the gateway listens on TCP");
  const everywhere = host === "0.0.0.0" || host === "::";
  const name = everywhere ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host;
  return `http://${name}:${address.port}`;
}
