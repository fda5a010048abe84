import { findProgram } from "../../src/sandbox/programs.ts";
import { type Goal, judgeGoal } from "../goals.ts";
import { percentile, ratio, rounded } from "../numbers.ts";
import { runPlain } from "./plain.ts";
import { openSite, type Site } from "./site.ts";

/** What is started: the smallest program of each language. */
const programs = {
  true: { profile: "shell", argv: ["true"], first: ["echo", "x"] },
  python: { profile: "python", argv: ["python3", "-c", "print(1)"], first: ["python3", "-c", "print(1)"] },
  node: { profile: "node", argv: ["node", "-e", "console.log(1)"], first: ["node", "-e", "console.log(1)"] },
};
type Name = keyof typeof programs;
const names = Object.keys(programs) as Name[]; // the keys just written

/** The ways to start one. `cold`: no box waits. `warm`: until the first byte it prints, the others until its end. */
const ways = ["plain", "strict", "warm", "cold"] as const;
type Way = (typeof ways)[number];
type Times = Record<Way, Record<Name, number[]>>;

/** Starts each program `count` times each way, in turns, with a rest before each in which the worker gets ready again. */
export async function measureStarts(
  count: number,
  { site, progress, signal }: { site: Site; progress: (text: string) => void; signal: AbortSignal },
) {
  const cold = await openSite({ slots: 2, warm: 0 });
  const times = emptyTimes();
  try {
    for (let turn = -3; turn < count; turn++) {
      if (turn % 20 === 0) progress(`starts ${turn} of ${count}`);
      for (const name of names) {
        for (const way of ways) {
          signal.throwIfAborted();
          await Promise.all([site.rested(), cold.rested()]);
          const ms = await timeOf(name, way, way === "cold" ? cold : site);
          if (turn >= 0) times[way][name].push(ms); // the first ones fill caches
        }
      }
    }
  } finally {
    await cold.close();
  }
  const report = Object.fromEntries(ways.map((way) => [way, summaryOf(times[way])]));
  return { report, goals: goalsOf(times, site.class) };
}

async function timeOf(name: Name, way: Way, site: Site): Promise<number> {
  const { profile, argv, first } = programs[name];
  const command = way === "warm" ? first : argv;
  const startedAt = performance.now();
  if (way === "plain") {
    await runPlain(onHost(argv), "/");
    return performance.now() - startedAt;
  }
  let firstMs = 0;
  const { steps, reason } = await site.run({ profile, steps: [{ name: "start", argv: command }] }, () => {
    firstMs ||= performance.now() - startedAt;
  });
  const endMs = performance.now() - startedAt;
  if (steps[0]?.code !== 0) throw new Error(`${command.join(" ")} ended with ${steps[0]?.code ?? reason}`);
  return way === "warm" ? firstMs : endMs;
}

/** The same file that a box finds. */
export function onHost([name = "", ...args]: string[]): string[] {
  return [findProgram(name, "")?.file ?? name, ...args];
}

function emptyTimes(): Times {
  const none = () => ({ true: [], python: [], node: [] });
  return { plain: none(), strict: none(), warm: none(), cold: none() };
}

function summaryOf(times: Record<Name, number[]>) {
  const summary = (values: number[]) => ({
    p50_ms: rounded(percentile(values, 50)),
    p95_ms: rounded(percentile(values, 95)),
  });
  return Object.fromEntries(names.map((name) => [name, summary(times[name])]));
}

/** The promises are those of the strict class. */
function goalsOf({ plain, strict, warm, cold }: Times, className: string): Goal[] {
  const only = <Value>(value: Value) => (className === "strict" ? value : null);
  const times = (name: Name) => ratio(percentile(strict[name], 50), percentile(plain[name], 50));
  const ms = (name: string, values: number[], p: number, most: number) =>
    judgeGoal({ name: `${name} p${p}`, unit: "ms", most }, only(percentile(values, p)));
  return [
    ms("start of true in the strict class", strict.true, 50, 12),
    ms("start of true in the strict class", strict.true, 95, 30),
    ms("the same where no box waits", cold.true, 50, 12),
    ms("the same where no box waits", cold.true, 95, 30),
    judgeGoal({ name: "python against the plain process, p50", unit: "×", most: 1.3 }, only(times("python"))),
    judgeGoal({ name: "node against the plain process, p50", unit: "×", most: 1.2 }, only(times("node"))),
    ms("warm slot, request to first byte", warm.true, 50, 5),
    ms("warm slot, request to first byte", warm.true, 95, 15),
  ];
}
