import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Tools } from "../../../src/bus/handler.ts";
import { BuildTestReport, BuildTestSummary, type CodegenMetrics, type Written } from "../../../src/contracts/code.ts";
import { SandboxError } from "../../../src/contracts/violation.ts";
import type { Work } from "../../../src/contracts/work.ts";
import { run } from "../../../src/services/buildtest/run.ts";
import { canIsolate, openSandbox } from "../../support/sandbox.ts";
import { message, openWorld, type World } from "../../support/world.ts";

const green = `require("node:test").test("adds", () => require("node:assert").strictEqual(1 + 1, 2));\n`;
const red = `require("node:test").test("adds", () => require("node:assert").strictEqual(1 + 1, 3));\n`;
const work = (workspace: Record<string, string>, rest: Partial<Work> = {}): Work => ({
  prompt: "",
  workspace,
  language: null,
  build: null,
  test: null,
  max_rounds: 3,
  grounding: [],
  ...rest,
});
const written = (content: string, round: number): Written => {
  const said = { provider: "cassette", model: "m-1", replay: true, tokens: null, cost_usd: null, took_ms: 1 };
  const metrics: CodegenMetrics = { ...said, round, tokens_total: 15 };
  const seen = Array.from({ length: round }, (_, n) => `fingerprint ${n}`);
  return { change: { summary: "It adds.", edits: [{ path: "a.test.js", content }] }, metrics, seen };
};

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
beforeEach(() => {
  world.kept.splice(0);
  world.said.splice(0);
});
afterAll(() => world.close());

const kept = (name: string) => String(world.kept.find((one) => `${one.kind}/${one.name}` === name)?.content);
const names = () => world.kept.map(({ kind, name }) => `${kind}/${name}`);

describe.skipIf(!canIsolate)("buildtest.run", () => {
  let sandbox: Awaited<ReturnType<typeof openSandbox>>;
  let tools: Tools;
  beforeAll(async () => {
    sandbox = await openSandbox(world.log);
    tools = { ...world.tools, sandbox };
  });
  afterAll(() => sandbox?.close());

  const build = (given: Work, by: Written | null = null, rest = {}) =>
    run.handle(message({ work: given, written: by }, { service: "buildtest", role: "run", ...rest }), tools);

  test("a green project ends the trace with what was counted, and leaves its report, its log and JUnit's XML", async () => {
    const { result, next, answer } = await build(work({ "a.test.js": green }));

    expect(answer).toMatchObject({ verdict: "pass", text: "Green: 1 passed, 0 failed, 0 skipped.", provider: null });
    expect(next).toBeUndefined();
    expect(names()).toEqual([
      "build-test/report.json",
      "build-test/summary.json",
      "build-test/test.log",
      "build-test/junit.xml",
    ]);
    expect(BuildTestReport.parse(JSON.parse(kept("build-test/report.json")))).toEqual(result);
    expect(result).toMatchObject({ verdict: "pass", round: 1, tests: { passed: 1 }, failing: [], skipped_files: [] });
    expect(result.steps).toMatchObject([{ name: "test", code: 0, signal: null, wall_ms: expect.any(Number) }]);
    expect(kept("build-test/junit.xml")).toContain('<testcase name="adds"');
    expect(kept("build-test/test.log")).toContain("✔ adds");
  });

  test("a red test is an answer: it names the test, its file and why", async () => {
    const { result, answer } = await build(work({ "a.test.js": red }));

    expect(answer?.verdict).toBe("fail");
    expect(answer?.text).toBe(
      "Red: test ended with 1, 0 passed, 1 failed, 0 skipped.\n" +
        "  ✖ adds: AssertionError [ERR_ASSERTION]: Expected values to be strictly equal: 2 !== 3",
    );
    expect(result.failing).toMatchObject([{ name: "adds", file: "a.test.js" }]);
    expect(BuildTestSummary.parse(JSON.parse(kept("build-test/summary.json"))).first_failing).toBe("adds");
  });

  test("a build that is red ends the run before its tests", async () => {
    const scripts = { build: "node build.js", test: "node --test" };
    const { result, answer } = await build(
      work({
        "package.json": JSON.stringify({ scripts }),
        "build.js": "console.error('no such module'); process.exit(3);",
        "a.test.js": green,
      }),
    );

    expect(answer?.text).toContain("Red: build ended with 3");
    expect(result.steps).toMatchObject([{ name: "build", command: "node build.js", code: 3 }]);
    expect(kept("build-test/build.log")).toBe("no such module\n");
    expect(names()).not.toContain("build-test/test.log");
  });

  test("what one step makes is there for the next", async () => {
    const { answer } = await build(
      work({ "make.sh": "echo made > out" }, { build: "sh make.sh", test: "grep made out" }),
    );

    expect(answer).toMatchObject({ verdict: "pass", text: "Green: test ended with 0; its output counts no tests." });
  });

  test.each([
    ["beside the code", "test_sum.py"],
    ["in a folder that is no package", "tests/test_sum.py"],
  ])("python's tests are found and read: %s", async (_, path) => {
    const lines = ["import unittest, sums", "class T(unittest.TestCase):", "  def test_sum(self):"];
    const { result } = await build(
      work({ "sums.py": "two = 3\n", [path]: [...lines, "    self.assertEqual(sums.two, 2)", ""].join("\n") }),
    );

    expect(result).toMatchObject({ verdict: "fail", tests: { passed: 0, failed: 1, skipped: 0 } });
    expect(result.failing).toMatchObject([
      { name: "test_sum (test_sum.T.test_sum)", message: "AssertionError: 3 != 2" },
    ]);
  });

  test("a runner that finds no test has shown nothing: red, whatever its code", async () => {
    const { answer } = await build(work({ "a.js": "" }, { test: "node --test" }));

    expect(answer).toMatchObject({ verdict: "fail", text: "Red: no test ran, 0 passed, 0 failed, 0 skipped." });
  });

  test("a report of JUnit's kind is read where the output says nothing", async () => {
    const xml = '<testsuite><testcase name="old" file="a.c"><failure message="why"/></testcase></testsuite>';
    const { result } = await build(work({ "x.xml": xml }, { test: "cp x.xml junit.xml; exit 1" }));

    expect(result.tests).toEqual({ passed: 0, failed: 1, skipped: 0 });
    expect(result.failing).toEqual([{ name: "old", file: "a.c", line: null, message: "why" }]);
  });

  test("jest's report is read, and kept", async () => {
    const report = readFileSync(join(import.meta.dirname, "../../rules/logs/jest.json"), "utf8");
    const { result } = await build(work({ "x.json": report }, { test: "cp x.json jest.json; exit 1" }));

    expect(result.tests).toEqual({ passed: 1, failed: 2, skipped: 2 });
    expect(result.failing[0]).toMatchObject({ name: "sums › is wrong", file: "sum.test.js", line: 3 });
    expect(names()).toContain("build-test/jest.json");
  });

  test("a report that came with the files is not taken for this run's", async () => {
    const xml = '<testsuite><testcase name="old"><failure message="why"/></testcase></testsuite>';
    const { result } = await build(work({ "junit.xml": xml }, { test: "true" }));

    expect(result).toMatchObject({ verdict: "pass", tests: null, failing: [] });
    expect(names()).not.toContain("build-test/junit.xml");
  });

  test("a broken limit is a failure with error.json, tried as often as the limits say", async () => {
    const limits = { size: { stdout_bytes: 200_000 } };
    const flood = work({}, { language: "shell", test: "while :; do echo flood; done", limits });

    await expect(build(flood, null, { attempts: 2, intent: "code.buildtest" })).rejects.toMatchObject({
      code: "sandbox_violation",
      details: { reason: "output", limit: 200_000, max_attempts: 2 },
    });
    expect(names()).toEqual(["sandbox/error.json"]);
    const error = SandboxError.parse(JSON.parse(kept("sandbox/error.json")));
    expect(error).toMatchObject({ reason: "output", also: [], attempts: 2, message_id: "1", tenant: "local" });
    expect(error.at).toBe(world.now.toISOString());
    expect(error.stdout_tail).toMatch(/^(o?o?d?\n)?(flood\n)+f?l?o?o?d?$/);
    expect(error.stdout_tail.length).toBe(4096);
    expect(world.kept.map((file) => file.class)).toEqual([error.class]);
    expect(world.recorded).toMatchObject([{ kind: "sandbox_error", data: { reason: "output", limit: 200_000 } }]);
  });

  test("a request may lower the limits of its run, and never raise them", async () => {
    const fill = (disk_bytes: number) =>
      build(work({}, { language: "shell", test: "cat /dev/zero > fill", limits: { size: { disk_bytes } } }));

    await expect(fill(1_000_000)).rejects.toMatchObject({ details: { reason: "disk", limit: 1_000_000 } });
    await expect(fill(99_999_999_999)).rejects.toMatchObject({ details: { limit: expect.any(Number) } });
    expect(JSON.parse(kept("sandbox/error.json")).limit).toBeLessThanOrEqual(268_435_456);
  });

  test("tells what is run, and what it printed", async () => {
    await build(work({}, { language: "shell", test: "echo one; echo two" }));

    expect(world.said).toEqual(["in the sandbox: echo one; echo two", "test is running"]);
  });

  test("a model's green change is the answer, and says that it is a replay", async () => {
    const { answer, next } = await build(work({}), written(green, 2), { idempotencyKey: "k#2" });

    expect(next).toBeUndefined();
    expect(answer).toMatchObject({ verdict: "pass", provider: "cassette m-1", replay: true });
    expect(answer?.text).toBe("It adds.\nGreen: 1 passed, 0 failed, 0 skipped.");
    expect(names()).toContain("build-test/rounds/2/report.json");
  });

  test("a change that names what the documents said cites it", async () => {
    const passage = {
      document_id: "d",
      title: "Sums",
      section: "Adding",
      span: [5, 13] as [number, number],
      text: "1+1 is 2",
      score: 1,
    };
    const by = written(green, 1);
    const { answer } = await build(work({}, { grounding: [passage] }), {
      ...by,
      change: { ...by.change, summary: "It adds [1]." },
    });

    expect(answer?.text).toContain("It adds [1].");
    expect(answer?.citations).toEqual([
      { document_id: "d", title: "Sums", section: "Adding", span: [5, 13], quote: "1+1 is 2" },
    ]);
  });

  test.each([
    [1, "k", "k#2"],
    [2, "k#2", "k#3"],
    [2, "k#2#2", "k#2#3"],
  ])(
    "a red change of round %i goes back with its log, under a key of its own: %s",
    async (round, idempotencyKey, key) => {
      const by = written(red, round);
      const { next, answer } = await build(work({}), by, { idempotencyKey });

      expect(answer).toBeUndefined();
      expect(next).toMatchObject([{ to: "codegen.generate", key, payload: { work: work({}) } }]);
      expect(next?.[0]?.payload).toMatchObject({
        rounds: { round, change: by.change, failing: ["adds"], tokens: 15, seen: by.seen },
      });
      expect(next?.[0]?.payload).toHaveProperty("rounds.log", expect.stringMatching(/^failing: adds\n[\s\S]*✖ adds/));
    },
  );

  test("a model's change that breaks a limit goes back too: the log says which, and error.json is kept", async () => {
    const limits = { size: { stdout_bytes: 1000 } };
    const { next, result } = await build(
      work({}, { language: "shell", test: "while :; do echo flood; done", limits }),
      written("", 1),
    );

    expect(result).toMatchObject({ verdict: "fail", violation: { reason: "output", limit: 1000 } });
    expect(next?.[0]?.payload).toHaveProperty(
      "rounds.log",
      expect.stringMatching(/^failing: test \(while .*\)\nthe sandbox ended it: output \(limit 1000, [\s\S]*flood/),
    );
    expect(names()).toContain("sandbox/error.json");
  });

  test("a red build goes back too, with what it printed", async () => {
    const { next } = await build(work({}, { build: "echo no compiler >&2; exit 2", test: "true" }), written(green, 1));

    expect(next?.[0]?.payload).toMatchObject({ rounds: { failing: [], log: "no compiler\n" } });
  });

  test("the last red round is the end, with its log and the failing tests", async () => {
    await expect(build(work({}), written(red, 3), { idempotencyKey: "k#3" })).rejects.toMatchObject({
      code: "never_green",
      retry: false,
      details: { rounds: 3, failing: ["adds"], log: expect.stringContaining("2 !== 3") },
    });
    expect(names()).toContain("build-test/report.json");
    expect(names()).toContain("build-test/rounds/3/test.log");
  });
});

describe("buildtest.run without a sandbox", () => {
  const build = (given: Work) => run.handle(message({ work: given, written: null }), world.tools);

  test("passes on that nobody could take it, to be tried again, and says so in error.json", async () => {
    await expect(build(work({ "a.test.js": green }))).rejects.toMatchObject({
      code: "sandbox_unavailable",
      retry: true,
    });
    const error = SandboxError.parse(JSON.parse(kept("sandbox/error.json")));
    expect(error).toMatchObject({ reason: "sandbox_unavailable", class: null, limit: null });
  });

  test("does not open a box for nothing", async () => {
    await expect(build(work({ "readme.md": "" }))).rejects.toMatchObject({ code: "nothing_to_test", retry: false });
    expect(names()).toEqual([]);
  });
});
