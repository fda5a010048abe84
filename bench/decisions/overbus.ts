import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { migrationsFolder } from "../../src/app/paths.ts";
import type { AnyHandler, Handler } from "../../src/bus/handler.ts";
import { publish } from "../../src/bus/publish.ts";
import { startWorker } from "../../src/bus/worker.ts";
import { AgentSpec } from "../../src/contracts/agent.ts";
import type { OrchestratorPolicy } from "../../src/contracts/choice.ts";
import { BuildTestRequest } from "../../src/contracts/code.ts";
import { Failure } from "../../src/contracts/failure.ts";
import { Work } from "../../src/contracts/work.ts";
import { countEnds } from "../../src/ops/ends.ts";
import { replay } from "../../src/rules/replay.ts";
import { execute } from "../../src/services/executor/execute.ts";
import { decideBy } from "../../src/services/orchestrator/decide.ts";
import { heardAround, putAgent } from "../../src/store/agents.ts";
import { connect, type Database } from "../../src/store/database.ts";
import { recordedDecisions } from "../../src/store/decisions.ts";
import { migrate } from "../../src/store/migrations.ts";
import { dice } from "../chaos/dice.ts";
import { judgeGoal } from "../goals.ts";
import { openBenchGround } from "../ground.ts";
import { percentile, rounded } from "../numbers.ts";
import type { Part, Setting } from "./part.ts";
import { policyHere } from "./policy.ts";
import { recordedIn } from "./recorded.ts";
import { passes } from "./solving.ts";
import { type Course, courseOf, firstPassAfter, othersOn } from "./strategies.ts";

const role = "recorded.solve";
const courses = 3; // each in a database of its own
const silent = { info() {}, warn: console.error, error: console.error };

/** What one course came to. `decided`: milliseconds from the request to the decision, each. */
type Run = {
  solved: boolean[];
  course: Course;
  decided: number[];
  decisions: number;
  explained: number;
  again: number;
};

/** The recorded agents behind the real orchestrator, executor and bus: nothing is known of them before. */
export const overBus: Part = {
  name: "bus",
  async judge(setting) {
    const recorded = await recordedIn(join(setting.data, "code"));
    const policy = await policyHere();
    const ground = await openBenchGround();
    const runs: Run[] = [];
    try {
      for (let seed = 1; seed <= courses; seed += 1) {
        const course = courseOf(recorded, passes, dice(`course ${seed}`));
        const url = await ground.database(`decisions_${seed}`);
        runs.push(await runOf(url, course, { ...setting, policy, seed }));
      }
    } finally {
      await ground.close();
    }
    const all = runs.map(({ course, solved }, n) => ({
      ours: solved.filter(Boolean).length,
      ...othersOn(course, dice(`others ${n + 1}`)),
    }));
    const of = (name: keyof (typeof all)[number]) => mean(all.map((one) => one[name]));
    const share = mean(all.map(({ ours, best_single }) => ours / best_single));
    const first = mean(runs.map(({ course, solved }) => firstPassAfter(course, solved)));
    const decisions = sum(runs.map((run) => run.decisions));
    const p50 = percentile(
      runs.flatMap(({ decided }) => decided),
      50,
    );
    const explained = sum(runs.map((run) => run.explained)) / decisions;
    const again = sum(runs.map((run) => run.again)) / decisions;
    return {
      numbers: {
        solved: {
          ours: of("ours"),
          best_single: of("best_single"),
          always_first: of("always_first"),
          round_robin: of("round_robin"),
          random: of("random"),
          of_best_single: share,
          tasks: recorded.tasks.length * passes,
          courses,
        },
        first_pass_after_30: first,
        decisions: { count: decisions, p50_ms: rounded(p50), explained, made_again_the_same: again },
      },
      goals: [
        judgeGoal({ name: "solved over the bus, of the best single agent", unit: "", least: 0.95 }, share),
        judgeGoal({ name: "in the first pass after 30 tasks, over the bus", unit: "", least: 0.9 }, first),
        judgeGoal({ name: "one decision through the bus, p50", unit: "ms", most: 10 }, rounded(p50)),
        judgeGoal({ name: "decisions whose terms are their scores within 1e-9", unit: "of all", least: 1 }, explained),
        judgeGoal({ name: "decisions that are made again the same", unit: "of all", least: 1 }, again),
      ],
    };
  },
};

async function runOf(
  url: string,
  course: Course,
  { policy, seed, progress, signal }: Setting & { policy: OrchestratorPolicy; seed: number },
): Promise<Run> {
  const sql = connect(url, { max: 6 });
  await migrate(sql, migrationsFolder);
  for (const [n] of course.agents.entries()) await putAgent(sql, specOf(n));
  let told: (ok: boolean) => void = () => {};
  const solver = solving(course, (ok) => told(ok));
  const worker = await startWorker({
    sql,
    artifactsBase: tmpdir(), // nothing is kept
    policy: () => ({ default: { max_attempts: 1, base_ms: 0, factor: 1, cap_ms: 0, jitter: 0 }, keys: {} }),
    chance: dice(`chance ${seed}`),
    name: "decisions",
    handlers: [decideBy(() => policy), execute, solver] satisfies AnyHandler[],
    concurrency: 8,
    leaseMs: 60_000,
    pollMs: 1000,
    attemptMs: 60_000,
    log: silent,
    tools: { now: () => new Date(), models: new Map(), sandbox: { run: noSandbox } },
  });
  const solved: boolean[] = [];
  try {
    for (const task of course.passes.flat()) {
      const end = new Promise<boolean>((resolve) => {
        told = resolve;
      });
      if (solved.length % 50 === 0) {
        signal.throwIfAborted();
        await heardAround(sql, { roles: [role], models: [] });
        progress(`bus: course ${seed} of ${courses}, ${solved.length} of ${course.passes.flat().length} tasks`);
      }
      await ask(sql, { task, key: `${seed}-${solved.length}` });
      solved.push(await end);
      while ((await countEnds(sql, policy)).length === 0) await pause(1); // until it is settled
    }
    return { solved, course, ...(await logOf(sql)) };
  } finally {
    await worker.stop(1000);
    await sql.end();
  }
}

function specOf(n: number): AgentSpec {
  return AgentSpec.parse({
    id: `agent-${n + 1}`,
    version: "1",
    intents: ["code.generate"],
    reach: { kind: "builtin", role },
    capacity: 4,
  });
}

/** Answers as the assigned agent did when it was recorded. The prompt is the name of the task. */
function solving({ agents }: Course, tell: (ok: boolean) => void): Handler<BuildTestRequest, { ok: boolean }> {
  return {
    role,
    accepts: BuildTestRequest,
    answers: z.object({ ok: z.boolean() }),
    async handle({ assignment, payload }) {
      const agent = agents.find((_, n) => `agent-${n + 1}` === assignment?.agent_id);
      const ok = agent?.solved.has(payload.work.prompt) === true;
      setImmediate(tell, ok);
      const verdict = ok ? "pass" : "fail";
      return { result: { ok }, answer: { text: verdict, verdict, citations: [], provider: null, replay: true } };
    },
  };
}

async function ask(sql: Database, { task, key }: { task: string; key: string }): Promise<void> {
  const blank = { workspace: {}, language: null, build: null, test: null, max_rounds: 1, grounding: [] };
  await publish(sql, {
    to: "orchestrator.decide",
    tenant: "local",
    intent: "code.generate",
    payload: { role: "executor.execute", work: Work.parse({ ...blank, prompt: task }) },
    traceId: randomUUID(),
    idempotencyKey: key,
    traceparent: null,
  });
}

/** Every decision of the log: whether it explains itself to the last term, and whether it is made again the same. */
async function logOf(sql: Database): Promise<Pick<Run, "decided" | "decisions" | "explained" | "again">> {
  const wanted = { windowS: 86_400, tenant: null, intent: null, before: null, limit: 10_000 };
  const rows = await recordedDecisions(sql, wanted);
  const sound = rows.filter(({ record }) =>
    record.candidates.every(({ terms, score }) => Math.abs(sum(Object.values(terms)) - score) < 1e-9),
  );
  const decided = await sql<{ ms: number }[]>`
    select extract(epoch from e.at - m.created_at)::float8 * 1000 as ms
    from bus_messages m join bus_events e on e.message_id = m.id and e.trace_id = m.trace_id
    where m.service = 'orchestrator' and m.role = 'decide' and e.kind = 'orchestrate_done'`;
  return {
    decided: decided.map(({ ms }) => ms),
    decisions: rows.length,
    explained: sound.length,
    again: rows.filter(({ record }) => replay(record).same === true).length,
  };
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: number[]): number {
  return rounded(sum(values) / values.length);
}

async function noSandbox(): Promise<never> {
  throw new Failure("sandbox_unavailable", "an evaluation has no sandbox");
}
