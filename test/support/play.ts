import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { z } from "zod";
import type { Handler } from "../../src/bus/handler.ts";
import { publish } from "../../src/bus/publish.ts";
import { startWorker } from "../../src/bus/worker.ts";
import type { ApprovalPolicy } from "../../src/contracts/approval.ts";
import type { OrchestratorPolicy } from "../../src/contracts/choice.ts";
import { type BuildTestRequest, BuildTestRequest as Payload } from "../../src/contracts/code.ts";
import { Failure, type FailureCode } from "../../src/contracts/failure.ts";
import type { Answer } from "../../src/contracts/message.ts";
import { Work } from "../../src/contracts/work.ts";
import { nobodyIsAsked } from "../../src/rules/approval.ts";
import { fallbackFor } from "../../src/rules/fallback.ts";
import { execute } from "../../src/services/executor/execute.ts";
import { answered } from "../../src/services/orchestrator/answered.ts";
import { decideBy } from "../../src/services/orchestrator/decide.ts";
import { shadow } from "../../src/services/orchestrator/shadow.ts";
import { heardAround } from "../../src/store/agents.ts";
import { decisionsIn } from "../../src/store/decisions.ts";
import { eventsOf } from "../../src/store/events.ts";
import { traceOf } from "../../src/store/traces.ts";
import { agentSpec } from "./agents.ts";
import type { World } from "./world.ts";

type Said = string | { code: FailureCode };

/** What an agent does with a prompt: it answers this text, or fails like this. */
export type Behaviour = (agentId: string, prompt: string) => Said | Promise<Said>;

type Playing = { behave: Behaviour; policy: () => OrchestratorPolicy; approvals?: () => ApprovalPolicy };

/** An agent of `play.work`, which does what the test says. */
export const player = (rest: Parameters<typeof agentSpec>[0] = {}) =>
  agentSpec({ intents: ["code.generate"], reach: { kind: "builtin", role: "play.work" }, capacity: 100, ...rest });

/**
 * The orchestrator with agents that do what the test says, on a real worker: nothing is tried twice. `ask` sends work
 * and answers all that came of it.
 */
export async function openPlay(world: World, { behave, policy, approvals = () => nobodyIsAsked }: Playing) {
  const worker = await startWorker({
    ...world.settling,
    policy: () => ({ default: { max_attempts: 1, base_ms: 0, factor: 1, cap_ms: 0, jitter: 0 }, keys: {} }),
    name: `worker-${randomUUID()}`,
    handlers: [decideBy(policy, approvals), answered, shadow, execute, playing(behave)],
    concurrency: 8,
    leaseMs: 60_000,
    pollMs: 1000,
    attemptMs: 60_000,
    log: world.log,
    tools: { now: () => new Date(), models: new Map(), sandbox: world.tools.sandbox },
  });
  async function send(work: Partial<Work> = {}, { key = randomUUID(), tenant = "local" } = {}): Promise<string> {
    const traceId = randomUUID();
    await heardAround(world.sql, { roles: ["play.work"], models: [] }); // a slow machine makes nobody silent
    await publish(world.sql, {
      to: "orchestrator.decide",
      tenant,
      intent: "code.generate",
      payload: { role: "executor.execute", work: Work.parse({ ...blank, ...work }) },
      traceId,
      idempotencyKey: key,
      traceparent: null,
    });
    return traceId;
  }
  return {
    send,
    async ask(work: Partial<Work> = {}, { key = randomUUID(), tenant = "local" } = {}) {
      const traceId = await send(work, { key, tenant });
      await ended(world, traceId);
      return {
        traceId,
        trace: await traceOf(world.sql, traceId, null),
        decisions: await decisionsIn(world.sql, { traceId, tenant }),
        events: await eventsOf(world.sql, traceId),
      };
    },
    stop: () => worker.stop(1000),
  };
}

/** Waits until a trace is there and has ended. */
export async function ended(world: World, traceId: string): Promise<void> {
  const status = async () => (await traceOf(world.sql, traceId, null))?.status;
  await expect.poll(status, { timeout: 20_000, interval: 10 }).toMatch(/done|failed/);
}

const blank = { prompt: "", workspace: {}, language: null, build: null, test: null, max_rounds: 1, grounding: [] };

function playing(behave: Behaviour): Handler<BuildTestRequest, { said: string }> {
  return {
    role: "play.work",
    accepts: Payload,
    answers: z.object({ said: z.string() }),
    onDead: fallbackFor,
    async handle({ assignment, payload }) {
      const said = await behave(assignment?.agent_id ?? "nobody", payload.work.prompt);
      if (typeof said !== "string") throw new Failure(said.code, "it hung up");
      const answer: Answer = { text: said, verdict: null, citations: [], provider: null, replay: false };
      return { result: { said }, answer };
    },
  };
}
