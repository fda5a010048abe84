import { Failure } from "../../src/contracts/failure.ts";
import type { Bench, Findings } from "../benchmark.ts";
import { goalRows } from "../goals.ts";
import { type BenchGround, openBenchGround } from "../ground.ts";
import { machine } from "../machine.ts";
import { rounded, whole } from "../numbers.ts";
import { goalsOf, type Metric, numberRows, numbersOf, ratiosOf, rotated, type Single } from "./metrics.ts";
import { ensurePeers } from "./peers.ts";
import { type System, type SystemName, systemNames } from "./system.ts";
import { systemOf } from "./systems.ts";
import { type Extent, measureTurn, templateOf } from "./turn.ts";

/** The systems that take part, and why others do not. */
type Field = { systems: Map<SystemName, System>; notRun: Record<string, string> };

/** Our bus beside graphile-worker and pg-boss on one server: rounds in which the order rotates, medians and ratios. */
export async function measure(bench: Bench): Promise<Findings> {
  const messages = whole("--messages", bench.option("messages"), 10);
  const rounds = whole("--rounds", bench.option("rounds"), 1);
  const extent: Extent = {
    messages,
    batch: 500,
    singles: Math.max(20, Math.min(2000, Math.round(messages / 10))),
    inFlight: 8,
    samples: Math.max(20, Math.min(300, Math.round(messages / 50))),
  };
  const began = machine();
  const field = await fieldOf(chosen(bench.option("only")), bench.progress);
  const ground = await openBenchGround();
  try {
    for (const [name, system] of field.systems) await system.prepare(await ground.database(templateOf(name)));
    const singles = await play(bench, { ground, field, rounds, extent });
    const numbers = numbersOf(singles);
    const goals = goalsOf(singles);
    const report = {
      machine: began,
      postgres: await ground.facts(),
      settings: { rounds, ...extent, systems: settingsOf(field) },
      not_run: field.notRun,
      ...numbers,
      ratios: ratiosOf(singles),
      ratio_is: "the median of the ratios of each round",
      goals,
      singles: singles.map(({ value, ...one }) => ({ ...one, value: rounded(value) })),
    };
    return { report, tables: [numberRows(numbers), goalRows(goals), notRunRows(field)] };
  } finally {
    await ground.close();
  }
}

async function play(
  { progress, signal }: Bench,
  { ground, field, rounds, extent }: { ground: BenchGround; field: Field; rounds: number; extent: Extent },
): Promise<Single[]> {
  const singles: Single[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const processes of [1, 2] as const) {
      for (const [name, system] of rotated([...field.systems], round - 1)) {
        signal.throwIfAborted();
        const values = await measureTurn({ ground, name, system, processes, extent, signal });
        const shown = Object.entries(values).map(([metric, value]) => `${metric} ${rounded(value)}`);
        progress(`round ${round} of ${rounds}, ${name}: ${shown.join(", ")}`);
        for (const [metric, value] of Object.entries(values) as [Metric, number][]) {
          singles.push({ round, system: name, metric, value });
        }
      }
    }
  }
  return singles;
}

function chosen(only: string | undefined): SystemName[] {
  if (only === undefined) return [...systemNames];
  const words = only.split(",");
  const unknown = words.find((word) => !systemNames.some((name) => name === word));
  if (unknown !== undefined) {
    throw new Failure("invalid_request", `--only takes ${systemNames.join(", ")}; ${unknown} is none of them`);
  }
  return systemNames.filter((name) => words.includes(name));
}

async function fieldOf(names: SystemName[], progress: (text: string) => void): Promise<Field> {
  const field: Field = { systems: new Map(), notRun: {} };
  const missing =
    names.some((name) => name === "graphile_worker" || name === "pg_boss") && (await ensurePeers(progress));
  if (missing) progress(missing);
  for (const name of systemNames) {
    if (!names.includes(name)) field.notRun[name] = "not asked for";
    else {
      await systemOf(name).then(
        (system) => field.systems.set(name, system),
        (error) => {
          field.notRun[name] = missing || String(error.message);
        },
      );
    }
  }
  return field;
}

function settingsOf({ systems }: Field): Record<string, unknown> {
  return Object.fromEntries([...systems].map(([name, { version, settings }]) => [name, { version, ...settings }]));
}

function notRunRows({ notRun }: Field): string[][] {
  return Object.entries(notRun).map(([name, why]) => [`${name}: not run`, why]);
}
