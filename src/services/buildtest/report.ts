import { type Artifact, jsonArtifact, textArtifact } from "../../contracts/artifact.ts";
import type { BuildTestReport, BuildTestSummary } from "../../contracts/code.ts";
import type { RunResult, StepResult } from "../../contracts/sandbox.ts";
import { type Reading, readTestLog } from "../../rules/testlog.ts";
import type { Plan } from "./detect.ts";

/** What a run came to, and the logs it left, by step. */
export type Reported = { report: BuildTestReport; reading: Reading; logs: Map<string, string> };

/** Makes the report of a run that ended by itself. Red is any step that did not exit with 0. */
export function reportOf(run: RunResult, { steps }: Plan, round: number): Reported {
  const commands = new Map(steps.map(({ name, command }) => [name, command]));
  const logs = new Map(run.steps.map((step) => [step.name, logOf(step)]));
  const reading = readTestLog(logs.get("test") ?? "");
  const green = run.steps.length === steps.length && run.steps.every(({ code }) => code === 0);
  const report: BuildTestReport = {
    verdict: green ? "pass" : "fail",
    round,
    class: run.class,
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
    failing: reading.failing,
    skipped_files: run.skipped,
  };
  return { report, reading, logs };
}

/** What a step printed: standard output, then standard error. */
export function logOf({ stdout, stderr }: StepResult): string {
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return [text(stdout), text(stderr)].filter((part) => part !== "").join("\n");
}

/** The files of a report: in their place, and, when a model wrote the code, under the number of its round too. */
export function filesOf({ report, logs }: Reported, run: RunResult, written: boolean): Artifact[] {
  const summary: BuildTestSummary = {
    verdict: report.verdict,
    tests: report.tests,
    first_failing: report.failing[0]?.name ?? null,
    wall_ms: report.steps.reduce((sum, { wall_ms }) => sum + wall_ms, 0),
  };
  const junit = run.files.find(({ path }) => path === "junit.xml");
  const folders = written ? ["", `rounds/${report.round}/`] : [""];
  return folders.flatMap((folder) => [
    jsonArtifact("build-test", `${folder}report.json`, "build-test.report/1", report),
    jsonArtifact("build-test", `${folder}summary.json`, "build-test.summary/1", summary),
    ...[...logs].map(([step, log]) => textArtifact("build-test", `${folder}${step}.log`, log)),
    ...(junit ? [textArtifact("build-test", `${folder}junit.xml`, junit.content)] : []),
  ]);
}

/** The verdict in words, with the first failing tests. */
export function wordsFor({ verdict, tests, failing, steps }: BuildTestReport): string {
  const counted = tests ? `${tests.passed} passed, ${tests.failed} failed, ${tests.skipped} skipped` : "no test count";
  if (verdict === "pass") return `Green: ${counted}.`;
  const red = steps.find(({ code }) => code !== 0);
  const ended = red ? `${red.name} ended with ${red.signal ?? red.code}` : "a step did not run";
  const named = failing
    .slice(0, 3)
    .map(({ name, message }) => `  ✖ ${name}${message ? `: ${message.split("\n")[0]}` : ""}`);
  return [`Red: ${ended}, ${counted}.`, ...named].join("\n");
}
