import { Failure } from "../../src/contracts/failure.ts";
import type { Bench, Findings } from "../benchmark.ts";
import { type Goal, goalRows } from "../goals.ts";
import { machine } from "../machine.ts";
import { whole } from "../numbers.ts";
import { measureLarge } from "./large.ts";
import { measureThroughput } from "./throughput.ts";

const parts = ["throughput", "large"] as const;
type Part = (typeof parts)[number];

/** Code agents through the whole system, beside plain processes: how many, how soon, and with how much memory. */
export async function measure({ option, progress, signal }: Bench): Promise<Findings> {
  const settings = {
    rounds: whole("--rounds", option("rounds"), 1),
    width: whole("--in-flight", option("inFlight"), 4),
    files: whole("--files", option("files"), 1),
    megabytes: whole("--megabytes", option("megabytes"), 1),
  };
  const wanted = chosen(option("only"));
  const began = machine();
  const at = { progress, signal };
  const found: Partial<Record<Part, { report: Record<string, unknown>; goals: Goal[] }>> = {};
  if (wanted.includes("throughput"))
    found.throughput = await measureThroughput({ ...settings, data: option("data") ?? "" }, at);
  if (wanted.includes("large")) found.large = await measureLarge(settings, at);
  const goals = parts.flatMap((part) => found[part]?.goals ?? []);
  const report = {
    machine: began,
    settings,
    ...Object.fromEntries(parts.flatMap((part) => (found[part] ? [[part, found[part].report]] : []))),
    not_run: parts.filter((part) => !wanted.includes(part)),
    goals,
  };
  return { report, tables: [goalRows(goals)] };
}

function chosen(only: string | undefined): Part[] {
  if (only === undefined) return [...parts];
  const words = only.split(",");
  const unknown = words.find((word) => !parts.some((part) => part === word));
  if (unknown === undefined) return parts.filter((part) => words.includes(part));
  throw new Failure("invalid_request", `--only takes ${parts.join(", ")}; ${unknown} is none of them`);
}
