import { askThrough, reasonOf } from "../../../bench/code/ask.ts";
import { inFlight, openGround } from "../../../bench/code/ground.ts";
import { runPlain } from "../../../bench/code/plain.ts";
import { markOf, recordingOf, requestOf } from "../../../bench/code/request.ts";
import { answerOf, checkOf, programOf, readTasks, type Task } from "../../../bench/code/tasks.ts";
import { percentile, rounded, whole } from "../../../bench/numbers.ts";
import { exitCodes } from "../../app/child.ts";
import type { Client } from "../../client/client.ts";
import { BuildTestReport } from "../../contracts/code.ts";
import { Failure } from "../../contracts/failure.ts";
import { json, note, paint, say } from "../output.ts";

export type EvalCodeOptions = {
  json?: boolean;
  tasks?: string;
  cassette?: string;
  canonical?: boolean;
  besidePlain?: boolean;
  inFlight: string;
};

type Asked = { task: Task; mark: string };
type Verdict = { id: string; reason: string | null; ms: number }; // reason null: it passed

/**
 * `dagent eval code`: recorded answers go the whole way, through gateway, bus, executor, codegen, buildtest and sandbox,
 * and each ends with a verdict. With `--beside-plain` the same programs are run as plain processes in between.
 */
export async function evalCode(options: EvalCodeOptions): Promise<void> {
  const { tasks: path } = options;
  if (path === undefined) throw new Failure("invalid_request", "say which tasks: --tasks FILE.jsonl");
  const tasks = await readTasks(path, { canonical: options.canonical === true });
  if (tasks.length === 0) throw new Failure("invalid_request", `there are no tasks in ${path}`);
  const asked = tasks.map((task, n) => ({ task, mark: markOf(n) }));
  const width = whole("--in-flight", options.inFlight, 1);
  const recorded = asked.map(({ task, mark }) => ({ mark, programs: [answerOf(task)] }));

  const { client, close } = await openGround(options.cassette ?? recordingOf(recorded, path), (text) =>
    note(paint("dim", text)),
  );
  try {
    await inFlight(asked.slice(0, 4), 4, (one) => ask(client, one)); // what is loaded with its first use is loaded here
    const blocks = options.besidePlain ? blocksOf(asked, 4) : [asked];
    const { verdicts, ms, plainMs } = await runBlocks(client, blocks, { width, plain: options.besidePlain === true });
    const passed = verdicts.filter(({ reason }) => reason === null).length;
    const report = {
      total: verdicts.length,
      passed,
      verdicts: Object.fromEntries(verdicts.map(({ id, reason }) => [id, reason === null])),
      reasons: Object.fromEntries(verdicts.flatMap(({ id, reason }) => (reason === null ? [] : [[id, reason]]))),
      seconds: rounded(ms / 1000),
      in_flight: width,
      ...(plainMs === null
        ? {}
        : { plain_seconds: rounded(plainMs / 1000), throughput_beside_plain: rounded(plainMs / ms) }),
      ...(await overheadOf(client, asked)),
    };
    if (options.json) json(report);
    else tell(report);
    process.exitCode = exitCodes.ok;
  } finally {
    await close();
  }
}

/** Ours and, in turns, the same programs as plain processes, two at one time: the noise of the machine meets both. */
async function runBlocks(
  client: Client,
  blocks: Asked[][],
  { width, plain }: { width: number; plain: boolean },
): Promise<{ verdicts: Verdict[]; ms: number; plainMs: number | null }> {
  const verdicts: Verdict[] = [];
  let ms = 0;
  let plainMs = 0;
  for (const [n, block] of blocks.entries()) {
    const ours = async () => {
      const began = performance.now();
      verdicts.push(...(await inFlight(block, width, (one) => ask(client, one))));
      ms += performance.now() - began;
    };
    const theirs = async () => {
      const projects = block.map(({ task }) => ({
        "solution.py": programOf(task, task.solution),
        "check.py": checkOf(task),
      }));
      plainMs += (await runPlain(projects, { width: 2, signal: AbortSignal.timeout(3_600_000) })).ms;
    };
    const turns = plain ? (n % 2 === 0 ? [ours, theirs] : [theirs, ours]) : [ours];
    for (const turn of turns) await turn();
    note(paint("dim", `${verdicts.length} of ${blocks.flat().length}`));
  }
  return { verdicts, ms, plainMs: plain ? plainMs : null };
}

async function ask(client: Client, { task, mark }: Asked): Promise<Verdict & { traceId: string }> {
  const ended = await askThrough(client, requestOf(task, { mark, rounds: 1 }));
  return { id: task.id, reason: reasonOf(ended), ms: ended.ms, traceId: ended.traceId };
}

/** What the pipeline adds to the time of the sandbox when nothing else is in flight: the median of up to 40 answers. */
async function overheadOf(client: Client, asked: Asked[]) {
  const answered = asked.filter(({ task }) => task.solution.trim() !== "").slice(0, 40);
  const overheads = await inFlight(answered, 1, async (one) => {
    const { ms, traceId } = await ask(client, one);
    const { content } = await client.artifact(`${traceId}/build-test/report.json`);
    return ms - BuildTestReport.parse(JSON.parse(new TextDecoder().decode(content))).sandbox_ms;
  });
  const of = (p: number) => rounded(percentile(overheads, p));
  return { overhead_ms: { p50: of(50), p95: of(95), of: overheads.length } };
}

function blocksOf<Item>(items: Item[], count: number): Item[][] {
  const length = Math.ceil(items.length / count);
  return Array.from({ length: count }, (_, n) => items.slice(n * length, (n + 1) * length)).filter(
    (block) => block.length > 0,
  );
}

function tell(report: {
  total: number;
  passed: number;
  seconds: number;
  reasons: Record<string, string>;
  throughput_beside_plain?: number;
  overhead_ms: { p50: number | null };
}): void {
  const { total, passed, seconds, reasons, throughput_beside_plain: beside, overhead_ms } = report;
  for (const [id, reason] of Object.entries(reasons)) say(`${paint("red", "✖")} ${id}  ${reason}`);
  say(`${passed} of ${total} pass, in ${seconds} s`);
  if (beside !== undefined) say(`throughput beside plain processes: ${beside}`);
  say(`overhead of the pipeline over its sandbox, median: ${overhead_ms.p50} ms`);
}
