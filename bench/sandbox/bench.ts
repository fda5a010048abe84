import { Failure } from "../../src/contracts/failure.ts";
import type { Bench, Findings } from "../benchmark.ts";
import { type Goal, goalRows } from "../goals.ts";
import { machine } from "../machine.ts";
import { whole } from "../numbers.ts";
import { measureHumanEval } from "./humaneval.ts";
import { measureOverrun } from "./overrun.ts";
import { openSite } from "./site.ts";
import { measureStarts } from "./starts.ts";
import { measureViolations } from "./violation.ts";

const parts = ["starts", "humaneval", "overrun", "violation"] as const;
type Part = (typeof parts)[number];
type Found = { report: Record<string, unknown>; goals: Goal[] };

/** The sandbox beside the plain process with an empty environment, through a worker that dials in over WebSocket. */
export async function measure({ option, progress, signal }: Bench): Promise<Findings> {
  const starts = whole("--starts", option("starts"), 1);
  const rounds = whole("--rounds", option("rounds"), 1);
  const data = option("data") ?? "";
  const wanted = chosen(option("only"));
  const began = machine();
  const site = await openSite({ slots: 2 });
  const at = { site, progress, signal };
  try {
    const found: Partial<Record<Part, Found>> = {};
    if (wanted.includes("starts")) found.starts = await measureStarts(starts, at);
    if (wanted.includes("humaneval")) found.humaneval = await measureHumanEval({ data, rounds }, at);
    if (wanted.includes("overrun")) found.overrun = await measureOverrun(at);
    if (wanted.includes("violation")) found.violation = await measureViolations({ progress, signal });
    const goals = parts.flatMap((part) => found[part]?.goals ?? []);
    const { starts: began4, ...others } = found;
    const report = {
      machine: began,
      class: site.class,
      settings: { starts, rounds, slots: 2 },
      ...began4?.report,
      ...Object.fromEntries(Object.entries(others).map(([part, { report: own }]) => [part, own])),
      not_run: parts.filter((part) => !wanted.includes(part)),
      goals,
    };
    return { report, tables: [goalRows(goals)] };
  } finally {
    await site.close();
  }
}

function chosen(only: string | undefined): Part[] {
  if (only === undefined) return [...parts];
  const words = only.split(",");
  const unknown = words.find((word) => !parts.some((part) => part === word));
  if (unknown === undefined) return parts.filter((part) => words.includes(part));
  throw new Failure("invalid_request", `--only takes ${parts.join(", ")}; ${unknown} is none of them`);
}
