import type { Handler, Next, Outcome, Tools } from "../../bus/handler.ts";
import { BuildTestReport, BuildTestRequest, type Written } from "../../contracts/code.ts";
import { asFailure, Failure } from "../../contracts/failure.ts";
import type { Message } from "../../contracts/message.ts";
import type { RunResult } from "../../contracts/sandbox.ts";
import type { Work } from "../../contracts/work.ts";
import { citedIn } from "../../rules/cite.ts";
import { fallbackFor } from "../../rules/fallback.ts";
import { type Reading, trimLog } from "../../rules/testlog.ts";
import { editTree, sketchOf, type Tree, treeOf } from "../../rules/tree.ts";
import { askForPatch } from "./approval.ts";
import { type Installed, installDependencies } from "./dependencies.ts";
import { type CommandsOf, detect, languageOf, type Plan } from "./detect.ts";
import { liveLog } from "./live.ts";
import { filesOf, lackIn, lacksPackage, type Reported, reportOf, violationIn, wordsFor } from "./report.ts";
import { reportFiles } from "./runners.ts";
import { keepViolation, passOn, violationOf } from "./violation.ts";

/**
 * Builds and tests a project in the sandbox.
 *
 * in     BuildTestRequest: the work, and the change when a model wrote one
 * out    BuildTestReport; artifacts build-test/{report.json, summary.json, install.log, build.log, test.log, junit.xml, jest.json}
 * next   codegen.generate with the failing log, when a model's change is red, or broke a limit, and it has a round left;
 *        a green change that a person must let go waits for that
 * fails  install_failed: what its tests need could not be installed; nothing_to_test; never_green: the last round was red; sandbox_violation, sandbox_unavailable, worker_lost: with
 *        sandbox/error.json
 */
export const run: Handler<BuildTestRequest, BuildTestReport> = {
  role: "buildtest.run",
  accepts: BuildTestRequest,
  answers: BuildTestReport,
  onDead: fallbackFor,

  async handle(message, tools) {
    const { work, written } = message.payload;
    const given = await treeOf(work, tools.upload);
    const edited = written && (await editTree(given, written.change.edits));
    const { files } = edited?.tree ?? given;
    const sketch = await sketchOf({ ...given, files });
    const project = { ...work, workspace: sketch };
    const language = languageOf(project);
    const installed = await installDependencies(message, {
      tree: { ...given, files },
      language,
      limits: work.limits,
      tools,
    });
    const plan = planFor(project, installed, tools.sandbox.commandsOf);
    await tools.status(`in the sandbox: ${plan.steps.map(({ command }) => command).join(" && ")}`, { plan });

    const began = performance.now();
    const result = await inSandbox(message, { files, plan, uses: installed.uses, limits: work.limits, tools });
    const sandboxMs = performance.now() - began;
    if (result.reason !== null) await keepViolation(message, result, tools);
    if (result.reason !== null && !written) throw violationOf(result);
    refuseMissingRunner(result);
    const round = written?.metrics.round ?? 1;
    const reported = reportOf(result, plan, { round, sandboxMs, install: installed.report });
    const kept = filesOf(reported, result, written !== null).map((file) => ({ ...file, class: result.class }));
    await Promise.all(kept.map(tools.keep));
    if (installed.failure && reported.report.verdict === "fail" && lacksPackage(result)) throw installed.failure;
    if (!written || !edited) return answerWith(reported, { work, written: null });
    const outcome = judge(message, reported, { work, written });
    return outcome.answer && message.assignment?.approval?.patch
      ? askForPatch(message, {
          answer: outcome.answer,
          report: reported.report,
          written,
          given,
          edited,
          sql: tools.sql,
        })
      : outcome;
  },
};

/** What is done with a project whose dependencies are there; or are not, but may not be needed. */
function planFor(work: Work, { uses, failure }: Installed, commandsOf: CommandsOf | undefined): Plan {
  try {
    return detect(work, commandsOf, uses !== null);
  } catch (thrown) {
    throw failure ?? thrown;
  }
}

type Box = { files: Tree["files"]; plan: Plan; uses: Installed["uses"]; limits: Work["limits"]; tools: Tools };

async function inSandbox(message: Message, { files, plan, uses, limits, tools }: Box): Promise<RunResult> {
  const log = liveLog(tools);
  try {
    return await tools.sandbox.run(
      {
        traceId: message.traceId,
        tenant: message.tenant,
        profile: plan.language,
        intent: message.intent,
        files: Object.fromEntries(files),
        steps: plan.steps.map(({ name, command }) => ({ name, argv: ["sh", "-c", command] })),
        ...(limits && { limits }),
        ...(uses && { uses }),
        collect: reportFiles.filter((path) => !files.has(path)), // one that came with the files tells of another run
      },
      { signal: tools.signal, onOutput: log.hear },
    );
  } catch (thrown) {
    return passOn(message, asFailure(thrown), tools);
  } finally {
    await log.end();
  }
}

/** A model's change: green is the answer, red goes back to it while it has a round left. */
function judge(
  { idempotencyKey }: Message,
  { report, reading, logs }: Reported,
  { work, written }: { work: Work; written: Written },
): Outcome<BuildTestReport> {
  if (report.verdict === "pass") return answerWith({ report, reading, logs }, { work, written });
  const { round, tokens_total, cost_total_usd } = written.metrics;
  const failing = report.failing.map(({ name }) => name);
  const log = logFor(report, { reading, text: [...logs.values()].at(-1) ?? "" });
  if (round >= work.max_rounds) {
    throw new Failure("never_green", `still red after ${round} of ${work.max_rounds} rounds. ${wordsFor(report)}`, {
      rounds: round,
      failing,
      log,
    });
  }
  const { change, seen } = written;
  const rounds = { round, change, log, failing, tokens: tokens_total, cost_usd: cost_total_usd ?? null, seen };
  // A role that is visited again in a trace needs a key of its own; from the second round on ours carries the round.
  const base = round === 1 ? idempotencyKey : idempotencyKey.slice(0, -`#${round}`.length);
  const key = `${base}#${round + 1}`;
  const next: Next = { to: "codegen.generate", payload: { work, rounds }, key };
  return { result: report, next: [next] };
}

/** What the model reads of its red change. A run that was ended for a limit has often printed nothing that says so. */
function logFor({ violation, steps }: BuildTestReport, { reading, text }: { reading: Reading; text: string }): string {
  if (!violation) return trimLog(text, reading);
  const step = steps.at(-1);
  const why = `failing: ${step?.name} (${step?.command})\nthe sandbox ended it: ${violationIn(violation)}\n`;
  return why + trimLog(text, reading, 8000 - why.length);
}

/** No pytest is no verdict on the project. Throws `nothing_to_test`. */
function refuseMissingRunner({ steps }: RunResult): void {
  const said = new TextDecoder().decode(steps.at(-1)?.stderr ?? new Uint8Array());
  if (!/No module named '?pytest'?\s*$/.test(said)) return;
  throw new Failure(
    "nothing_to_test",
    "these are pytest's tests, and the sandbox's python has no pytest: bring it (a requirements.txt that names it, and `pip download -d vendor pytest`), install it there (Debian: python3-pytest), or say how to test in `test`",
    { field: "test" },
  );
}

function answerWith(
  { report, logs }: Reported,
  { work, written }: { work: Work; written: Written | null },
): Outcome<BuildTestReport> {
  const lack = report.verdict === "fail" ? lackIn([...logs.values()].at(-1) ?? "") : null;
  const told = written && citedIn(written.change.summary, work.grounding);
  const text = [told?.text, wordsFor(report), lack].filter((part) => part).join("\n");
  const provider = written ? `${written.metrics.provider} ${written.metrics.model}` : null;
  const replay = written?.metrics.replay ?? false;
  return {
    result: report,
    answer: { text, verdict: report.verdict, citations: told?.citations ?? [], provider, replay },
  };
}
