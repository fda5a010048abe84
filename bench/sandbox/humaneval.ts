import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { z } from "zod";
import { type Goal, judgeGoal } from "../goals.ts";
import { median, rounded } from "../numbers.ts";
import { runPlain } from "./plain.ts";
import type { Site } from "./site.ts";
import { onHost } from "./starts.ts";

const Task = z.object({
  prompt: z.string(),
  canonical_solution: z.string(),
  test: z.string(),
  entry_point: z.string(),
});
const concurrency = 2;

type Program = { path: string; text: Buffer };

/** How fast the programs of HumanEval run, each with its canonical solution and its tests: in turns plain and boxed. */
export async function measureHumanEval(
  { data, rounds }: { data: string; rounds: number },
  { site, progress, signal }: { site: Site; progress: (text: string) => void; signal: AbortSignal },
) {
  const folder = await mkdtemp(join(tmpdir(), "dagent-bench-"));
  try {
    const programs = await programsIn(join(data, "code/HumanEval.jsonl.gz"), folder);
    if (!programs) return { report: { not_run: `there is no code/HumanEval.jsonl.gz in ${data}` }, goals: goalsOf() };
    const plain = ({ path }: Program) => runPlain(onHost(["python3", path]), folder);
    const boxed = async ({ text }: Program) => {
      const steps = [{ name: "test", argv: ["python3", "main.py"] }];
      const result = await site.run({ profile: "python", files: { "main.py": text }, steps });
      return result.reason === null ? (result.steps[0]?.code ?? null) : null;
    };
    const found: { plain: Pace; boxed: Pace }[] = [];
    for (let round = 0; round <= rounds; round++) {
      const first = await paceOf(programs, round % 2 === 0 ? plain : boxed, signal);
      const second = await paceOf(programs, round % 2 === 0 ? boxed : plain, signal);
      const both = round % 2 === 0 ? { plain: first, boxed: second } : { plain: second, boxed: first };
      progress(
        `HumanEval ${round} of ${rounds}: plain ${rounded(both.plain.perS)}/s, boxed ${rounded(both.boxed.perS)}/s`,
      );
      if (round > 0) found.push(both); // the first fills caches
    }
    const passed = Math.min(...found.map((each) => each.boxed.passed));
    const share = median(found.map((each) => each.boxed.perS / each.plain.perS));
    const report = {
      programs: programs.length,
      concurrency,
      plain_per_s: rounded(median(found.map((each) => each.plain.perS))),
      boxed_per_s: rounded(median(found.map((each) => each.boxed.perS))),
      ratio: rounded(share),
      ratios: found.map((each) => rounded(each.boxed.perS / each.plain.perS)),
      passed,
    };
    return { report, goals: goalsOf({ passed, share, programs: programs.length }) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function goalsOf({
  passed,
  share,
  programs,
}: {
  passed?: number;
  share?: number | null;
  programs?: number;
} = {}): Goal[] {
  return [
    judgeGoal({ name: "HumanEval solutions that pass in a box", unit: "", least: programs ?? 164 }, passed ?? null),
    judgeGoal({ name: "HumanEval, boxed against plain", unit: "×", least: 0.75 }, share ?? null),
  ];
}

type Pace = { perS: number; passed: number };

async function paceOf(
  programs: Program[],
  run: (program: Program) => Promise<number | null>,
  signal: AbortSignal,
): Promise<Pace> {
  const left = [...programs];
  let passed = 0;
  const startedAt = performance.now();
  const hand = async () => {
    for (let one = left.shift(); one; one = left.shift()) {
      signal.throwIfAborted();
      if ((await run(one)) === 0) passed++;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, hand));
  return { perS: (programs.length * 1000) / (performance.now() - startedAt), passed };
}

/** The programs as files; null where there are none. */
async function programsIn(archive: string, folder: string): Promise<Program[] | null> {
  const packed = await readFile(archive).catch(() => null);
  if (!packed) return null;
  const lines = gunzipSync(packed).toString().trim().split("\n");
  return Promise.all(
    lines.map(async (line, index) => {
      const { prompt, canonical_solution: solution, test, entry_point: name } = Task.parse(JSON.parse(line));
      const text = Buffer.from(`${prompt}${solution}\n${test}\ncheck(${name})\n`);
      const path = join(folder, `${index}.py`);
      await writeFile(path, text);
      return { path, text };
    }),
  );
}
