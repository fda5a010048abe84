import { access } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "../../src/client/client.ts";
import { BuildTestReport } from "../../src/contracts/code.ts";
import { type Goal, judgeGoal } from "../goals.ts";
import { median, percentile, rounded } from "../numbers.ts";
import { askThrough, type Ended, reasonOf } from "./ask.ts";
import { type Ground, inFlight, openGround } from "./ground.ts";
import type { At } from "./part.ts";
import { runPlain } from "./plain.ts";
import { markOf, recordingOf, requestOf } from "./request.ts";
import { answerOf, checkOf, programOf, readTasks, type Task } from "./tasks.ts";
import { payers, type Usage, usageOf, usedBetween } from "./usage.ts";

type Asked = { task: Task; mark: string };
type Turn = { ms: number; passed: number };
type Found = { passed: number; ratio: number; overhead: number | null };

const plainWidth = 2;
const blocksOfRound = 4;
const alone = 60; // answers with nothing else in flight

/**
 * The canonical programs of HumanEval as answers of a recorded model: the whole way through the system, and in turns as
 * plain processes, two at one time. Then one after the other, for what the pipeline adds to the time of its sandbox.
 */
export async function measureThroughput(
  { data, rounds, width }: { data: string; rounds: number; width: number },
  { progress, signal }: At,
) {
  const path = join(data, "code/HumanEval.jsonl.gz");
  const missing = await access(path).then(
    () => null,
    () => `there is no code/HumanEval.jsonl.gz in ${data}`,
  );
  if (missing !== null) return { report: { not_run: missing }, goals: goalsOf(null) };
  const tasks = await readTasks(path, { canonical: true });
  const asked = tasks.map((task, n) => ({ task, mark: markOf(n) }));
  const answers = asked.map(({ task, mark }) => ({ mark, programs: [answerOf(task)] }));
  const ground = await openGround(recordingOf(answers, path), progress);
  try {
    const turns: { ours: Turn; plain: Turn }[] = [];
    const used: Usage[] = [];
    for (let round = 0; round <= rounds; round += 1) {
      const before = usageOf(ground.system);
      const both = await oneRound(ground.client, asked, { width, signal, first: round });
      const ratio = both.plain.ms / both.ours.ms;
      progress(`round ${round} of ${rounds}: ${both.ours.passed} pass, ${rounded(ratio)} of the plain throughput`);
      if (round === 0) continue; // the first fills caches
      turns.push(both);
      used.push(usedBetween(before, usageOf(ground.system)));
    }
    const overheads = await overheadsOf(ground, asked.slice(0, alone), signal);
    const passed = Math.min(...turns.map(({ ours }) => ours.passed));
    const ratio = median(turns.map(({ ours, plain }) => plain.ms / ours.ms)) ?? 0;
    const perRun = payers.map((payer) => [payer, rounded((median(used.map((one) => one[payer])) ?? 0) / tasks.length)]);
    const report = {
      programs: tasks.length,
      slots: 2,
      in_flight: width,
      plain_width: plainWidth,
      passed,
      ours_per_s: rounded(median(turns.map(({ ours }) => (tasks.length * 1000) / ours.ms))),
      plain_per_s: rounded(median(turns.map(({ plain }) => (tasks.length * 1000) / plain.ms))),
      ratio: rounded(ratio),
      ratios: turns.map(({ ours, plain }) => rounded(plain.ms / ours.ms)),
      cpu_ms_per_run: Object.fromEntries(perRun),
      overhead_ms: { p50: rounded(median(overheads)), p95: rounded(percentile(overheads, 95)), of: overheads.length },
    };
    return { report, goals: goalsOf({ passed, ratio, overhead: median(overheads) }) };
  } finally {
    await ground.close();
  }
}

function goalsOf(found: Found | null): Goal[] {
  return [
    judgeGoal(
      { name: "HumanEval solutions that pass through the whole system", unit: "", least: 164 },
      found?.passed ?? null,
    ),
    judgeGoal(
      { name: "throughput of the whole system, against plain processes", unit: "×", least: 0.6 },
      found?.ratio ?? null,
    ),
    judgeGoal(
      { name: "overhead over the sandbox's time of one run, p50", unit: "ms", most: 60 },
      found?.overhead ?? null,
    ),
  ];
}

/** All programs once each way, in blocks by turns: the noise of the machine meets both. */
async function oneRound(
  client: Client,
  asked: Asked[],
  { width, signal, first }: { width: number; signal: AbortSignal; first: number },
): Promise<{ ours: Turn; plain: Turn }> {
  const both = { ours: { ms: 0, passed: 0 }, plain: { ms: 0, passed: 0 } };
  for (const [n, block] of blocksOf(asked, blocksOfRound).entries()) {
    const ours = async () => {
      const began = performance.now();
      const ends = await inFlight(block, width, (one) => askOne(client, one, signal));
      both.ours.ms += performance.now() - began;
      both.ours.passed += ends.filter((one) => reasonOf(one) === null).length;
    };
    const plain = async () => {
      const projects = block.map(({ task }) => ({
        "solution.py": programOf(task, task.solution),
        "check.py": checkOf(task),
      }));
      const { green, ms } = await runPlain(projects, { width: plainWidth, signal });
      both.plain.ms += ms;
      both.plain.passed += green.filter(Boolean).length;
    };
    const turns = (n + first) % 2 === 0 ? [ours, plain] : [plain, ours];
    for (const turn of turns) await turn();
  }
  return both;
}

function askOne(client: Client, { task, mark }: Asked, signal: AbortSignal): Promise<Ended> {
  signal.throwIfAborted();
  return askThrough(client, requestOf(task, { mark, rounds: 1 }));
}

/** What the pipeline adds to the time of the sandbox, when nothing else is in flight. */
function overheadsOf({ client }: Ground, asked: Asked[], signal: AbortSignal): Promise<number[]> {
  return inFlight(asked, 1, async (one) => {
    const { traceId, ms } = await askOne(client, one, signal);
    const { content } = await client.artifact(`${traceId}/build-test/report.json`);
    return ms - BuildTestReport.parse(JSON.parse(new TextDecoder().decode(content))).sandbox_ms;
  });
}

export function blocksOf<Item>(items: Item[], count: number): Item[][] {
  const length = Math.ceil(items.length / count);
  return Array.from({ length: count }, (_, n) => items.slice(n * length, (n + 1) * length)).filter(
    (block) => block.length > 0,
  );
}
