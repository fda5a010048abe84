import { type Artifact, jsonArtifact, textArtifact } from "../../contracts/artifact.ts";
import type { BuildTestReport, BuildTestSummary, TestCounts, Violation } from "../../contracts/code.ts";
import type { RunResult, StepResult } from "../../contracts/sandbox.ts";
import { readJestReport } from "../../rules/jestreport.ts";
import { readJunit } from "../../rules/junit.ts";
import { readRunnerLog } from "../../rules/runnerlog.ts";
import { type Reading, readTestLog } from "../../rules/testlog.ts";
import type { Plan } from "./detect.ts";
import { jestFile, junitFile, reportFiles } from "./runners.ts";

/** What a run came to, and the logs it left, by step. */
export type Reported = { report: BuildTestReport; reading: Reading; logs: Map<string, string> };

/** Makes the report of a run that ended by itself. Red is any step that did not exit with 0, and tests that are none. */
export function reportOf(
  run: RunResult,
  { steps }: Plan,
  { round, sandboxMs, install = null }: { round: number; sandboxMs: number; install?: BuildTestReport["install"] },
): Reported {
  const commands = new Map(steps.map(({ name, command }) => [name, command]));
  const logs = new Map(run.steps.map((step) => [step.name, logOf(step)]));
  const reading = readingOf(run, logs.get("test") ?? "");
  const violation = run.reason === null ? null : { reason: run.reason, limit: run.limit, observed: run.observed };
  const done = run.steps.length === steps.length && run.steps.every(({ code }) => code === 0);
  const passed = done && violation === null && !noneRan(reading.tests);
  const report: BuildTestReport = {
    verdict: passed ? "pass" : "fail",
    round,
    class: run.class,
    sandbox_ms: Math.round(sandboxMs * 10) / 10,
    steps: run.steps.flatMap((step) =>
      step.name === "build" || step.name === "test"
        ? [
            {
              name: step.name,
              command: commands.get(step.name) ?? "",
              code: step.code,
              signal: step.signal,
              wall_ms: step.wallMs,
              cpu_ms: step.cpuMs,
            },
          ]
        : [],
    ),
    tests: reading.tests,
    failing: passed ? [] : reading.failing,
    violation,
    skipped_files: run.skipped,
    install,
  };
  return { report, reading, logs };
}

const readers = [
  [jestFile, readJestReport],
  [junitFile, readJunit],
] as const;

/** What the output says; where it says nothing of the failing tests, the runner's report for programs, or what it prints. */
function readingOf(run: RunResult, log: string): Reading {
  const said = readTestLog(log);
  if (said.tests && (said.tests.failed === 0 || said.failing.length > 0)) return said;
  for (const [path, read] of readers) {
    const reported = read(text(fileOf(run, path) ?? new Uint8Array()));
    if (reported.tests) return reported;
  }
  const printed = said.tests ? said : readRunnerLog(log);
  return printed.tests ? printed : said;
}

/** True for a runner that found no test and exited with 0 all the same: nothing was shown to work. */
function noneRan(tests: TestCounts | null): boolean {
  return tests !== null && tests.passed + tests.failed + tests.skipped === 0;
}

function fileOf({ files }: RunResult, name: string): Uint8Array | undefined {
  return files.find(({ path }) => path === name)?.content;
}

/** What a step printed: standard output, then standard error. */
export function logOf({ stdout, stderr }: StepResult): string {
  return [text(stdout), text(stderr)].filter((part) => part !== "").join("\n");
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** The files of a report: in their place, and, when a model wrote the code, under the number of its round too. */
export function filesOf({ report, logs }: Reported, run: RunResult, written: boolean): Artifact[] {
  const summary: BuildTestSummary = {
    verdict: report.verdict,
    tests: report.tests,
    first_failing: report.failing[0]?.name ?? null,
    wall_ms: report.steps.reduce((sum, { wall_ms }) => sum + wall_ms, 0),
  };
  const reports = run.files.filter(({ path }) => reportFiles.includes(path));
  const folders = written ? ["", `rounds/${report.round}/`] : [""];
  return folders.flatMap((folder) => [
    jsonArtifact("build-test", `${folder}report.json`, "build-test.report/1", report),
    jsonArtifact("build-test", `${folder}summary.json`, "build-test.summary/1", summary),
    ...[...logs].map(([step, log]) => textArtifact("build-test", `${folder}${step}.log`, log)),
    ...reports.map(({ path, content }) => textArtifact("build-test", `${folder}${path}`, content)),
  ]);
}

/** The verdict in words, with the first failing tests. */
export function wordsFor({ verdict, tests, failing, steps, violation }: BuildTestReport): string {
  const counted = tests ? `${tests.passed} passed, ${tests.failed} failed, ${tests.skipped} skipped` : "no test count";
  if (verdict === "pass" && !tests)
    return `Green: ${steps.at(-1)?.name ?? "it"} ended with 0; its output counts no tests.`;
  if (verdict === "pass") return `Green: ${counted}.`;
  const red = steps.find(({ code }) => code !== 0);
  const unrun = noneRan(tests) ? "no test ran" : "a step did not run";
  const stopped = violation && `the sandbox ended it: ${violationIn(violation)}`;
  const ended = stopped ?? (red ? `${red.name} ended with ${red.signal ?? red.code}` : unrun);
  const named = failing
    .slice(0, 3)
    .map(
      ({ name, message }) => `  ✖ ${[name, message.split("\n", 2).join(" ")].filter((part) => part !== "").join(": ")}`,
    );
  return [`Red: ${ended}, ${counted}.`, ...named].join("\n");
}

/** A broken limit in words. */
export function violationIn({ reason, limit, observed }: Violation): string {
  return `${reason} (limit ${limit}, observed ${observed})`;
}

/** What a log says about something that is not in the sandbox, and what to do about it; null when it says nothing such. */
export function lackIn(log: string): string | null {
  const [, missing] =
    /(Cannot find (?:package|module) '[^'\n]{1,200}'|ModuleNotFoundError: No module named '[^'\n]{1,200}')/.exec(log) ??
    [];
  return missing
    ? `${missing}: what a lockfile (npm install --package-lock-only makes one) or requirements.txt names is installed`
    : null;
}

/** Whether a run was red for what an install would have brought: a package, or a program of one. */
export function lacksPackage({ steps }: RunResult): boolean {
  const last = steps.at(-1);
  if (!last) return false;
  const missing = /Cannot find (?:package|module) '[^./'\n][^'\n]{0,200}'|No module named '?\w/;
  return last.code === 127 || missing.test(logOf(last));
}
