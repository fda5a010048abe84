import { Failure } from "../../src/contracts/failure.ts";
import type { Bench, Findings } from "../benchmark.ts";
import { type Goal, goalRows } from "../goals.ts";
import { machine } from "../machine.ts";
import { whole } from "../numbers.ts";
import { canary } from "./canary.ts";
import { drift } from "./drift.ts";
import { others } from "./others.ts";
import { overBus } from "./overbus.ts";
import type { Part, Setting } from "./part.ts";
import { solving } from "./solving.ts";
import { timing } from "./timing.ts";

/** What is timed goes first: a heap full of simulations is not what a worker has. */
const parts: Part[] = [timing, overBus, solving, canary, others, drift];

/** Judges the orchestrator's decisions, part by part. What cannot run says why, under `not_run`. */
export async function measure({ option, progress, signal }: Bench): Promise<Findings> {
  const setting: Setting = {
    seeds: whole("--seeds", option("seeds"), 1),
    data: option("data") ?? "../shared/data",
    progress,
    signal,
  };
  const numbers: Record<string, unknown> = { solved: null, first_pass_after_30: null, canary: null, off_policy: null };
  const notRun: Record<string, string> = {};
  const goals: Goal[] = [];
  for (const part of chosen(option("only"))) {
    progress(`${part.name} …`);
    await part.judge(setting).then(
      (found) => {
        Object.assign(numbers, found.numbers);
        goals.push(...found.goals);
      },
      (error) => {
        if (!(error instanceof Failure && error.code === "not_found")) throw error;
        notRun[part.name] = error.message;
        progress(`${part.name}: not run, ${error.message}`);
      },
    );
  }
  return {
    report: { machine: machine(), seeds: setting.seeds, ...numbers, not_run: notRun, goals },
    tables: [goalRows([...goals, ...Object.keys(notRun).map(notJudged)])],
  };
}

/** A part that was not run, as a row among the goals. */
function notJudged(part: string): Goal {
  return { name: part, goal: "", aim: null, value: null, unit: "", met: null };
}

function chosen(only: string | undefined): Part[] {
  if (only === undefined) return parts;
  const words = only.split(",");
  const unknown = words.find((word) => !parts.some(({ name }) => name === word));
  if (unknown !== undefined) {
    const names = parts.map(({ name }) => name).join(", ");
    throw new Failure("invalid_request", `--only takes ${names}; ${unknown} is none of them`);
  }
  return parts.filter(({ name }) => words.includes(name));
}
