import type { LimitsWish } from "../../src/contracts/limits.ts";
import type { RunResult } from "../../src/contracts/sandbox.ts";
import { judgeGoal } from "../goals.ts";
import { rounded } from "../numbers.ts";
import type { Site } from "./site.ts";

const mebibyte = 1_048_576;
const tries = 8;

/** What goes past its limit, and by how much it got past it. */
type Case = {
  name: string;
  reason: string;
  unit: string;
  most: number;
  argv: string[];
  limits: LimitsWish;
  over(result: RunResult): number;
};

const sh = (script: string) => ["sh", "-c", script];
const observed = ({ observed: seen, limit }: RunResult) => Number(seen) - Number(limit);
const wallMs = ({ steps }: RunResult) => steps[0]?.wallMs ?? 0;
const printed = ({ steps }: RunResult) => steps[0]?.stdout.byteLength ?? 0;

const cases: Case[] = [
  {
    name: "wall time of a sleeper that ignores every signal",
    reason: "time.wall",
    unit: "ms",
    most: 100,
    argv: sh("trap '' HUP INT QUIT TERM; while :; do sleep 30; done"),
    limits: { time: { wall_ms: 300 } },
    over: (result) => wallMs(result) - 300,
  },
  {
    name: "cpu time of an endless loop",
    reason: "time.cpu",
    unit: "ms",
    most: 100,
    argv: sh("while :; do :; done"),
    limits: { time: { cpu_ms: 300 } },
    over: observed,
  },
  {
    name: "memory",
    reason: "memory",
    unit: "bytes",
    most: 0,
    argv: sh("x=$(head -c 300000000 /dev/zero | tr '\\0' a)"),
    limits: { size: { memory_bytes: 64 * mebibyte } },
    over: observed,
  },
  {
    name: "disk",
    reason: "disk",
    unit: "bytes",
    most: 0,
    argv: sh("cat /dev/zero > fill"),
    limits: { size: { disk_bytes: 4 * mebibyte } },
    over: observed,
  },
  {
    name: "output",
    reason: "output",
    unit: "bytes",
    most: 0,
    argv: sh("cat /dev/zero"),
    limits: { size: { stdout_bytes: 100_001 } },
    over: (result) => printed(result) - 100_001,
  },
];

/** Breaks each limit a few times; the most that anything got past it. */
export async function measureOverrun({
  site,
  progress,
  signal,
}: {
  site: Site;
  progress: (text: string) => void;
  signal: AbortSignal;
}) {
  const found = [];
  for (const { name, reason, argv, limits, over, ...rest } of cases) {
    progress(`overrun: ${name}`);
    const values: number[] = [];
    for (let turn = 0; turn < tries; turn++) {
      signal.throwIfAborted();
      const result = await site.run({ steps: [{ name: "over", argv }], limits });
      if (result.reason !== reason) throw new Error(`${name} ended with ${result.reason}`);
      values.push(over(result));
    }
    found.push({ name, reason, value: Math.max(...values), ...rest });
  }
  return {
    report: Object.fromEntries(
      found.map(({ reason, value, unit }) => [`${reason.replace(".", "_")}_${unit}`, rounded(value)]),
    ),
    goals: found.map(({ name, value, unit, most }) => judgeGoal({ name: `overrun of ${name}`, unit, most }, value)),
  };
}
