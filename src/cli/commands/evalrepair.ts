import { askThrough } from "../../../bench/code/ask.ts";
import { inFlight, openGround } from "../../../bench/code/ground.ts";
import { chosen, mutantsOf } from "../../../bench/code/mutate.ts";
import { runPrograms } from "../../../bench/code/plain.ts";
import { markOf, recordingOf, requestOf } from "../../../bench/code/request.ts";
import { answerOf, checkOf, programOf, readTasks, type Task } from "../../../bench/code/tasks.ts";
import { rounded, whole } from "../../../bench/numbers.ts";
import { exitCodes } from "../../app/child.ts";
import type { Client } from "../../client/client.ts";
import { BuildTestReport } from "../../contracts/code.ts";
import { Failure } from "../../contracts/failure.ts";
import { json, note, paint, say } from "../output.ts";

export type EvalRepairOptions = { json?: boolean; tasks?: string; count: string; seed: string; inFlight: string };

type Wrong = { task: Task; mark: string; program: string; operator: string; line: number };
type Found = {
  id: string;
  operator: string;
  line: number;
  plain: boolean; // a plain process ended with 0
  first: boolean; // the first round was green
  rounds: number;
  green: boolean; // at the end
  named: boolean; // the log that went back named what failed
};

/**
 * `dagent eval repair`: right programs are made wrong by one change each. The first round must end as a plain run of the
 * same file does; where that is red, the right program comes at the second try, and must end green.
 */
export async function evalRepair(options: EvalRepairOptions): Promise<void> {
  const { tasks: path } = options;
  if (path === undefined) throw new Failure("invalid_request", "say which tasks: --tasks FILE.jsonl");
  const tasks = await readTasks(path, { canonical: true });
  const wrong = wrongOf(tasks, whole("--count", options.count, 1), whole("--seed", options.seed, 0));
  if (wrong.length === 0) throw new Failure("invalid_request", `there is nothing to change in ${path}`);
  const began = performance.now();
  const programs = wrong.map(({ task, program }) => program + checkOf(task));
  const plain = await runPrograms(programs, { width: 2, signal: AbortSignal.timeout(3_600_000) });
  note(
    paint(
      "dim",
      `${plain.green.filter((green) => !green).length} of ${wrong.length} are wrong when run as plain files`,
    ),
  );

  const answers = wrong.map(({ task, mark, program }) => ({ mark, programs: [program, answerOf(task)] }));
  const { client, close } = await openGround(recordingOf(answers, path), (text) => note(paint("dim", text)));
  try {
    const width = whole("--in-flight", options.inFlight, 1);
    let done = 0;
    const found = await inFlight(wrong, width, async (one, n) => {
      const result = await repair(client, one, plain.green[n] === true);
      if (++done % 50 === 0) note(paint("dim", `${done} of ${wrong.length}`));
      return result;
    });
    const report = reportOf(found, performance.now() - began);
    if (options.json) json(report);
    else tell(report);
    const well = report.verdicts_equal === report.total && report.green_after_one_repair === report.wrong;
    process.exitCode = well && report.named_in_log === report.wrong ? exitCodes.ok : exitCodes.failed;
  } finally {
    await close();
  }
}

/** A choice of all single changes to the solutions; the prompt before them stays as it is. */
function wrongOf(tasks: Task[], count: number, seed: number): Wrong[] {
  const all = tasks.flatMap((task) => {
    const right = programOf(task, task.solution);
    const from = right.length - task.solution.length;
    return mutantsOf(right, from).map(({ source, operator, line }) => ({ task, program: source, operator, line }));
  });
  return chosen(all, count, seed).map((one, n) => ({ ...one, mark: markOf(n) }));
}

async function repair(client: Client, { task, mark, operator, line }: Wrong, plain: boolean): Promise<Found> {
  const { traceId, answer } = await askThrough(client, requestOf(task, { mark, rounds: 2 }));
  const read = async (name: string) => new TextDecoder().decode((await client.artifact(`${traceId}/${name}`)).content);
  const first = BuildTestReport.parse(JSON.parse(await read("build-test/rounds/1/report.json")));
  const last = BuildTestReport.parse(JSON.parse(await read("build-test/report.json")));
  const red = first.verdict === "pass" ? "" : await read("codegen/rounds/2/red.log").catch(() => "");
  const what = first.failing[0]?.name ?? first.violation?.reason;
  return {
    id: task.id,
    operator,
    line,
    plain,
    first: first.verdict === "pass",
    rounds: last.round,
    green: answer?.verdict === "pass",
    named: what !== undefined && red.includes(what),
  };
}

function reportOf(found: Found[], ms: number) {
  const wrong = found.filter(({ first }) => !first);
  const count = (all: Found[], claim: (one: Found) => boolean) => all.filter(claim).length;
  return {
    total: found.length,
    verdicts_equal: count(found, ({ first, plain }) => first === plain),
    wrong: wrong.length,
    green_after_one_repair: count(wrong, ({ green, rounds }) => green && rounds === 2),
    named_in_log: count(wrong, ({ named }) => named),
    by_operator: Object.fromEntries(
      [...new Set(found.map(({ operator }) => operator))].map((operator) => {
        const of = found.filter((one) => one.operator === operator);
        return [operator, { total: of.length, wrong: count(of, ({ first }) => !first) }];
      }),
    ),
    exceptions: found.filter(({ first, plain, green, named }) => first !== plain || !green || (!first && !named)),
    seconds: rounded(ms / 1000),
  };
}

function tell(report: ReturnType<typeof reportOf>): void {
  const { total, verdicts_equal, wrong, green_after_one_repair, named_in_log, seconds, exceptions } = report;
  for (const { id, operator, line } of exceptions) say(`${paint("red", "✖")} ${id}  ${operator} in line ${line}`);
  say(`${verdicts_equal} of ${total} verdicts are those of a plain run`);
  say(`${green_after_one_repair} of ${wrong} wrong programs are green after one repair`);
  say(`${named_in_log} of ${wrong} logs named what failed; ${seconds} s`);
}
