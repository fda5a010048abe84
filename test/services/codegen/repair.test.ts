import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { publish } from "../../../src/bus/publish.ts";
import { startWorker, type Worker } from "../../../src/bus/worker.ts";
import type { Work } from "../../../src/contracts/work.ts";
import { openCassette } from "../../../src/llm/cassette.ts";
import { answerApproval, listApprovals } from "../../../src/ops/approvals.ts";
import { nobodyIsAsked } from "../../../src/rules/approval.ts";
import { run } from "../../../src/services/buildtest/run.ts";
import { generate } from "../../../src/services/codegen/generate.ts";
import { execute } from "../../../src/services/executor/execute.ts";
import { answered } from "../../../src/services/orchestrator/answered.ts";
import { decideBy } from "../../../src/services/orchestrator/decide.ts";
import { heard, register } from "../../../src/store/agents.ts";
import { eventsOf } from "../../../src/store/events.ts";
import { traceOf } from "../../../src/store/traces.ts";
import { agentSpec, shipped } from "../../support/agents.ts";
import { canIsolate, openSandbox } from "../../support/sandbox.ts";
import { openWorld, type World } from "../../support/world.ts";

const approvalsOf = () => ({
  default: nobodyIsAsked.default,
  overrides: [{ tenant: "careful", ask: "before_patch" as const }],
});
const cassette = "scenarios/cassettes/generate.json";
const coder = agentSpec({
  id: "replay-generate",
  intents: ["code.generate"],
  reach: { kind: "openai", model: "generate", base_url: null, api_key: null },
});
const testOf = (file: string, name: string, cases: string) => `const assert = require("node:assert");
const { test } = require("node:test");
const load = import("./${file}");
${cases.replaceAll("$", `(await load).${name}`)}`;
const work = (prompt: string, tests: string): Work => ({
  prompt,
  workspace: { "package.json": '{ "type": "module" }', "it.test.cjs": tests },
  language: null,
  build: null,
  test: null,
  max_rounds: 3,
  grounding: [],
});
const roman = work(
  "Write toRoman(number) in roman.js.",
  testOf(
    "roman.js",
    "toRoman",
    `test("adds letters", async () => assert.strictEqual($(2763), "MMDCCLXIII"));
test("writes the numbers that subtract", async () => assert.strictEqual($(1994), "MCMXCIV"));`,
  ),
);
const duration = work(
  "Write parseDuration(text) in duration.js.",
  testOf(
    "duration.js",
    "parseDuration",
    `test("reads one unit", async () => assert.strictEqual($("90s"), 90000));
test("adds units", async () => assert.strictEqual($("1h30m"), 5400000));`,
  ),
);

describe.skipIf(!canIsolate)("code.generate, from the decision to the verdict", () => {
  let world: World;
  let sandbox: Awaited<ReturnType<typeof openSandbox>>;
  let worker: Worker;
  beforeAll(async () => {
    world = await openWorld();
    sandbox = await openSandbox(world.log);
    await register(world.sql, coder);
  });
  beforeEach(async () => {
    await heard(world.sql, [{ agent_id: coder.id, agent_version: coder.version }]); // a slow machine takes its time
    const models = new Map([["generate", await openCassette(cassette)]]);
    worker = await startWorker({
      ...world.settling,
      name: `worker-${randomUUID()}`,
      handlers: [decideBy(() => shipped, approvalsOf), answered, execute, generate, run],
      concurrency: 4,
      leaseMs: 60_000,
      pollMs: 1000,
      attemptMs: 60_000,
      log: world.log,
      tools: { now: () => new Date(), models, sandbox },
    });
  });
  afterEach(() => worker.stop(1000));
  afterAll(async () => {
    await sandbox?.close();
    await world?.close();
  });

  async function send(given: Work, tenant = "local") {
    const traceId = randomUUID();
    await publish(world.sql, {
      to: "orchestrator.decide",
      tenant,
      intent: "code.generate",
      payload: { role: "executor.execute", work: given },
      traceId,
      idempotencyKey: traceId,
      traceparent: null,
    });
    return traceId;
  }

  async function ask(given: Work) {
    return endOf(await send(given));
  }

  async function endOf(traceId: string) {
    await expect
      .poll(async () => (await traceOf(world.sql, traceId, null))?.status, { timeout: 20_000, interval: 20 })
      .not.toBe("open");
    const trace = await traceOf(world.sql, traceId, null);
    const kinds = (await eventsOf(world.sql, traceId)).map(({ kind }) => kind);
    const count = (kind: string) => kinds.filter((one) => one === kind).length;
    const file = (name: string) => readFile(join(world.dir, traceId, name), "utf8");
    const json = async (name: string) => JSON.parse(await file(name));
    return { trace, count, file, json };
  }

  test("is green after one repair: the failing log went to the model, both rounds are kept", async () => {
    const { trace, count, file, json } = await ask(roman);

    expect(trace?.answer).toMatchObject({ verdict: "pass", replay: true, provider: "cassette hand-written" });
    expect([count("codegen_done"), count("buildtest_done"), count("buildtest_retry")]).toEqual([2, 2, 0]);
    expect(await json("build-test/rounds/1/report.json")).toMatchObject({
      verdict: "fail",
      tests: { passed: 1, failed: 1 },
      failing: [{ name: "writes the numbers that subtract" }],
    });
    expect(await json("build-test/report.json")).toMatchObject({ verdict: "pass", round: 2 });
    expect(await json("codegen/metrics.json")).toMatchObject({
      round: 2,
      replay: true,
      tokens_total: 398 + 164 + 905 + 203,
    });
    expect(await file("codegen/diff.patch")).toMatch(/^diff --git a\/roman.js b\/roman.js\nnew file mode 100644\n/);
    expect(await file("codegen/diff.patch")).toContain('+  [900, "CM"],');
    expect(await file("codegen/rounds/1/diff.patch")).not.toContain("900");
    expect(await json("codegen/edits.json.meta.json")).toMatchObject({
      schema: "codegen.edits/1",
      agent_id: "replay-generate",
      idempotency_key: expect.stringMatching(/#2$/),
    });
  });

  test("that is never green ends as a dead letter with the last log and the failing tests", async () => {
    const { trace, count, json } = await ask(duration);

    expect(trace?.status).toBe("failed");
    expect(trace?.failure).toMatchObject({
      code: "never_green",
      details: { rounds: 3, failing: ["adds units"], log: expect.stringMatching(/^failing: adds units\n/) },
    });
    expect([count("codegen_done"), count("buildtest_done"), count("buildtest_dead")]).toEqual([3, 2, 1]);
    expect(count("buildtest_retry")).toBe(0);
    expect(await json("build-test/report.json")).toMatchObject({ verdict: "fail", round: 3 });
  });

  describe("that a person must let go", () => {
    const approvals = () => ({ sql: world.sql, policy: approvalsOf() });
    async function waiting(traceId: string) {
      const all = { reach: null, tenant: null, state: null, before: null, limit: 9 };
      const list = async () => (await listApprovals(approvals(), { ...all, traceId })).approvals;
      await expect.poll(list, { timeout: 20_000, interval: 20 }).toHaveLength(1);
      const [approval] = await list();
      if (!approval) throw new Error("it is there");
      return approval;
    }
    const answer = (id: string, decision: "approve" | "refuse") =>
      answerApproval(approvals(), id, {
        by: { name: "alice", kinds: ["operator"], reach: null },
        answer: { decision, reason: "I read it" },
      });
    const held = (traceId: string) =>
      world.sql<{ path: string }[]>`
        select split_part(path, '/', 3) as path from artifacts where trace_id = ${traceId} and held order by path`;

    beforeAll(() => world.sql`insert into tenants (id) values ('careful') on conflict do nothing`.then(() => {}));

    test("is shown when it is green, and handed out when it is approved", async () => {
      const traceId = await send(roman, "careful");
      const { id, asked, links } = await waiting(traceId);

      expect(asked).toMatchObject({
        before: "patch",
        agent: { agent_id: "replay-generate", model: "generate", because: expect.stringContaining("replay-generate") },
        request: { text: "Write toRoman(number) in roman.js." },
        workspace: { files: 2 },
        patch: {
          files: [{ path: "roman.js", added: 27, removed: 0 }],
          tests: { passed: 2, failed: 0 },
          rounds: 2,
          replay: true,
          tokens: 398 + 164 + 905 + 203,
        },
      });
      expect(links.patch).toBe(`/artifacts/${traceId}/codegen/diff.patch`);
      expect((await held(traceId)).map(({ path }) => path)).toContain("diff.patch");

      await answer(id, "approve");

      const { trace, json } = await endOf(traceId);
      expect(trace?.answer).toMatchObject({ verdict: "pass", replay: true });
      expect(await held(traceId)).toEqual([]);
      expect(await json("approval/patch.json")).toMatchObject({ state: "approved", by: "alice" });
    });

    test("is kept back for good when it is refused", async () => {
      const traceId = await send(roman, "careful");
      const { id } = await waiting(traceId);

      await answer(id, "refuse");

      const { trace, json } = await endOf(traceId);
      expect(trace?.failure).toMatchObject({
        code: "approval_refused",
        message: "alice refused it, before the change was handed out: I read it",
      });
      expect((await held(traceId)).map(({ path }) => path)).toContain("diff.patch");
      expect(await json("approval/patch.json")).toMatchObject({ state: "refused", reason: "I read it" });
    });

    test("is not asked about while it is red", async () => {
      const traceId = await send(duration, "careful");

      const { trace, count } = await endOf(traceId);

      expect(trace?.failure).toMatchObject({ code: "never_green" });
      expect(count("approval_asked")).toBe(0);
      expect((await held(traceId)).map(({ path }) => path)).toContain("diff.patch");
    });
  });

  test("that nothing was recorded for fails at once, and says so", async () => {
    const { trace, count } = await ask(work("Write a poem.", "// none"));

    expect(trace?.failure).toMatchObject({
      code: "model_answer_invalid",
      message: expect.stringContaining("Write a poem"),
    });
    expect([count("codegen_dead"), count("codegen_retry")]).toEqual([1, 0]);
  });
});
