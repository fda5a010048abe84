import { Failure } from "../../src/contracts/failure.ts";
import type { Bench, Findings } from "../benchmark.ts";
import { goalRows } from "../goals.ts";
import { openBenchGround } from "../ground.ts";
import { machine } from "../machine.ts";
import { measureClaims } from "./claims.ts";
import { measureFairness } from "./fairness.ts";
import { measureKilled } from "./killed.ts";
import { measureLookups } from "./lookups.ts";
import type { Part, Site } from "./part.ts";

const parts = {
  killed: measureKilled,
  fairness: measureFairness,
  lookups: measureLookups,
  claims: measureClaims,
} satisfies Record<string, (site: Site) => Promise<Part>>;
const names = Object.keys(parts) as (keyof typeof parts)[]; // the keys just written

/** How our bus does with a long history, old snapshots, a flood and a killed worker. */
export async function measure(bench: Bench): Promise<Findings> {
  const scale = scaleOf(bench.option("scale"));
  const wanted = chosen(bench.option("only"));
  const began = machine();
  const ground = await openBenchGround();
  try {
    const found: Record<string, Part> = {};
    for (const name of wanted) {
      bench.signal.throwIfAborted();
      found[name] = await parts[name]({ ground, scale, progress: bench.progress, signal: bench.signal });
    }
    const all = Object.entries(found);
    const goals = all.flatMap(([, part]) => part.goals);
    const report = {
      machine: began,
      postgres: await ground.facts(),
      scale,
      ...Object.fromEntries(all.map(([name, part]) => [name, part.report])),
      not_run: names.filter((name) => !wanted.includes(name)),
      goals,
    };
    const rows = all.flatMap(([name, part]) =>
      Object.entries(part.report).map(([key, value]) => [name, key.replaceAll("_", " "), String(value)]),
    );
    return { report, tables: [rows, goalRows(goals)] };
  } finally {
    await ground.close();
  }
}

function scaleOf(text: string | undefined): number {
  const scale = Number(text);
  if (scale > 0 && scale <= 10) return scale;
  throw new Failure("invalid_request", `--scale is above 0 and at most 10; this is ${text}`);
}

function chosen(only: string | undefined): (keyof typeof parts)[] {
  if (only === undefined) return names;
  const words = only.split(",");
  const unknown = words.find((word) => !names.some((name) => name === word));
  if (unknown !== undefined) {
    throw new Failure("invalid_request", `--only takes ${names.join(", ")}; ${unknown} is none of them`);
  }
  return names.filter((name) => words.includes(name));
}
