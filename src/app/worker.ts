import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { AnyHandler } from "../bus/handler.ts";
import { startWorker } from "../bus/worker.ts";
import type { ApprovalPolicy } from "../contracts/approval.ts";
import type { OrchestratorPolicy } from "../contracts/choice.ts";
import { asFailure } from "../contracts/failure.ts";
import type { Log } from "../contracts/log.ts";
import type { BusPolicy } from "../contracts/policy.ts";
import { countEnds } from "../ops/ends.ts";
import { compareShadows } from "../ops/shadows.ts";
import { limitsRunning, runningCaps } from "../rules/quota.ts";
import { run } from "../services/buildtest/run.ts";
import { ask } from "../services/chat/ask.ts";
import { generate } from "../services/codegen/generate.ts";
import { execute } from "../services/executor/execute.ts";
import { answered } from "../services/orchestrator/answered.ts";
import { decideBy } from "../services/orchestrator/decide.ts";
import { shadow } from "../services/orchestrator/shadow.ts";
import { index } from "../services/rag/index.ts";
import { query } from "../services/rag/query.ts";
import { heard, heardAround, register } from "../store/agents.ts";
import { sweepDrafts } from "../store/artifacts.ts";
import { forgetAccounts } from "../store/budgets.ts";
import { connect, type Database } from "../store/database.ts";
import { forgetDecisions } from "../store/ends.ts";
import { tellAlone } from "../store/events.ts";
import type { Retention } from "../store/history.ts";
import { sweepUploads } from "../store/uploads.ts";
import type { Running } from "./child.ts";
import type { Config } from "./config.ts";
import { openSandboxHub } from "./hub.ts";
import { agentsOf, openModels } from "./models.ts";
import { refuserBy } from "./outbound.ts";
import { openOutside } from "./outside.ts";
import { version } from "./paths.ts";
import { followPolicy } from "./policies.ts";
import { keepProbing } from "./probes.ts";
import { sweepEvery } from "./sweep.ts";

/** Every role this repository plays. A new service is a line here. */
function handlersBy(
  orchestrator: () => OrchestratorPolicy,
  approvals: () => ApprovalPolicy,
  refusesAddress: (url: string) => string | null,
): AnyHandler[] {
  return [
    ask,
    index,
    query,
    decideBy(orchestrator, approvals, refusesAddress),
    answered,
    shadow,
    execute,
    generate,
    run,
  ];
}

/** Starts a worker: its hub for sandboxes, its agents in the registry, and the loop that claims. */
export async function runWorker(
  config: Config,
  { databaseUrl, log }: { databaseUrl: string; log: Log },
): Promise<Running> {
  const models = await openModels(config);
  const sql = connect(databaseUrl, { max: config.concurrency + 2 });
  const policy = await followPolicy("retry_policy.json", { folder: config.configDir, sql, log });
  const bus = await followPolicy("bus.json", { folder: config.configDir, sql, log });
  const circuits = await followPolicy("circuit_breaker.json", { folder: config.configDir, sql, log });
  const orchestrator = await followPolicy("orchestrator.json", { folder: config.configDir, sql, log });
  const approvals = await followPolicy("approvals.json", { folder: config.configDir, sql, log });
  const outbound = await followPolicy("outbound.json", { folder: config.configDir, sql, log });
  const refusesAddress = refuserBy(outbound.current);
  const outside = openOutside(config, outbound.current);
  const handlers = handlersBy(orchestrator.current, approvals.current, refusesAddress);
  const limits = await followPolicy("sandbox_limits.json", { folder: config.configDir, sql, log });
  const prices = await followPolicy("prices.json", { folder: config.configDir, sql, log });
  const quotas = await followPolicy("limits.json", { folder: config.configDir, sql, log });
  const hub = await openSandboxHub(config, { sql, log });

  const yesterday = new Date(Date.now() - 86_400_000);
  await sweepDrafts(config.artifactsBase, yesterday);
  await sweepUploads(config.artifactsBase, new Date(Date.now() - 7 * 86_400_000));
  const name = `${hostname()}-${process.pid}-${randomBytes(3).toString("hex")}`;
  const agents = agentsOf(models, version, config.sandbox.slots);
  for (const agent of agents) {
    const { id, version: agent_version } = agent;
    const fresh = await register(sql, agent);
    if (fresh)
      await tellAlone(sql, { kind: "agent_registered", details: { agent_id: id, agent_version, by: name, agent } });
  }
  const tellAlive = async () => {
    await heard(
      sql,
      agents.map((agent) => ({ agent_id: agent.id, agent_version: agent.version })),
    );
    await heardAround(sql, { roles: handlers.map(({ role }) => role), models: [...models.keys()] });
    await hub.tellAlive();
  };
  const heartbeat = setInterval(() => {
    tellAlive().catch((error) => log.warn({ reason: asFailure(error).message }, "could not say that we live"));
  }, 3000);

  const worker = await startWorker({
    sql,
    artifactsBase: config.artifactsBase,
    policy: policy.current,
    chance: Math.random,
    name,
    handlers,
    shards: (role) => bus.current().shards.keys[role] ?? bus.current().shards.default,
    circuits: circuits.current,
    budgets: () => quotas.current().budgets,
    caps: () => (limitsRunning(quotas.current()) ? (whose) => runningCaps(quotas.current(), whose) : null),
    retention: () => retentionOf(bus.current()),
    concurrency: config.concurrency,
    leaseMs: config.leaseMs,
    attemptMs: config.attemptMs,
    pollMs: 1000,
    log,
    tools: {
      now: () => new Date(),
      models,
      prices: prices.current,
      outside,
      sandbox: { run: hub.run, commandsOf: (name) => limits.current().profiles[name]?.commands ?? {} },
    },
  });
  const counting = sweepEvery(1000, () => countAll(sql, orchestrator.current(), retentionOf(bus.current())), {
    name: "ends",
    log,
  });
  const probing = keepProbing({ sql, refusesAddress, fetch: outside.fetch, log });
  return {
    facts: {
      worker: name,
      models: [...models.keys()],
      agents: agents.map(({ id }) => id),
      hub_port: hub.port,
    },
    async stop() {
      await worker.stop(20_000);
      await Promise.all([counting.stop(), probing.stop()]);
      clearInterval(heartbeat);
      policy.stop();
      bus.stop();
      circuits.stop();
      orchestrator.stop();
      approvals.stop();
      outbound.stop();
      limits.stop();
      quotas.stop();
      prices.stop();
      await hub.close();
      await sql.end({ timeout: 5 });
    },
  };
}

const sweepMost = 500; // of one turn

/** Counts what has ended, compares what shadows made of it, forgets what is too old. True: there is more. */
async function countAll(sql: Database, policy: OrchestratorPolicy, { historyMs }: Retention): Promise<boolean> {
  const counted = await countEnds(sql, { ...policy, limit: sweepMost });
  const compared = await compareShadows(sql, sweepMost);
  const forgotten = await forgetDecisions(sql, { keepMs: historyMs, limit: sweepMost });
  const closed = await forgetAccounts(sql, { keepMs: historyMs, limit: sweepMost });
  return [counted.length, compared.length, forgotten, closed].includes(sweepMost);
}

function retentionOf({ history }: BusPolicy): Retention {
  const day = 86_400_000;
  return {
    partitionMs: history.partition_hours * 3_600_000,
    historyMs: history.keep_days * day,
    answeredMs: history.keep_answered_days * day,
    deadMs: history.keep_dead_days * day,
  };
}
