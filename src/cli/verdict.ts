import type { BuildTestReport } from "../contracts/code.ts";
import type { TraceAnswer } from "../contracts/http.ts";
import { duration, paint } from "./output.ts";

const mostFailing = 10; // that are told of; the rest is in the report

/** What a status of a build says is done, and why so. The reports that programs read are not worth a line's width. */
export function statusLines({ install, plan }: Record<string, unknown>): string[] {
  return [...installIn(install), ...planIn(plan)];
}

function installIn(install: unknown): string[] {
  if (typeof install !== "object" || install === null) return [];
  if ("failed" in install)
    return [paint("yellow", `not installed, tried without: ${String(install.failed).split("; ")[0]}`)];
  if (!("command" in install)) return [];
  if ("cached" in install && install.cached === true) return ["install: kept from before"];
  return [`install: ${paint("bold", String(install.command))}`];
}

function planIn(plan: unknown): string[] {
  if (typeof plan !== "object" || plan === null || !("steps" in plan) || !Array.isArray(plan.steps)) return [];
  const because = "because" in plan && Array.isArray(plan.because) ? plan.because.map(String) : [];
  return [...because, ...plan.steps.map(({ name, command }) => `${name}: ${paint("bold", plain(String(command)))}`)];
}

function plain(command: string): string {
  return command.replace(
    /( --(test-)?(reporter(-destination)?|outputFile(\.\w+)?)=\S+| --junitxml=\S+| --json(?= --outputFile))+/g,
    "",
  );
}

type Shown = { report: BuildTestReport | null; where: string | null; folder: string };

/** How a build ended: the failing tests and where they stand, what was lacking, where the rest is; the verdict comes last. */
export function verdictLines({ trace }: TraceAnswer, { report, where, folder }: Shown): string[] {
  const failing = report?.failing ?? [];
  const more = failing.length - mostFailing;
  const [first = "", ...rest] = (trace.answer?.text ?? trace.failure?.message ?? "").split("\n");
  const green = trace.answer?.verdict === "pass";
  const named = failing.length > 0; // with more than the answer says of them
  const took = (report?.steps ?? []).map(({ name, wall_ms }) => `${name} ${duration(wall_ms)}`).join(", ");
  return [
    ...failing.slice(0, mostFailing).flatMap(failed),
    ...(more > 0 ? [paint("dim", `  … and ${more} more`)] : []),
    ...rest.filter((line) => !named || !/^ {2}✖ /.test(line)),
    ...(report ? [paint("dim", `${took}; sandbox class ${report.class}; ${folder}`)] : []),
    paint("dim", where === null ? `more: dagent trace ${trace.trace_id}` : `logs and report: ${where}`),
    `${paint(green ? "green" : "red", green ? "✔" : "✖")} ${paint("bold", first)}`,
  ];
}

function failed({ name, file, line, message }: BuildTestReport["failing"][number]): string[] {
  const place = file === null ? "" : paint("cyan", `${file}${line === null ? "" : `:${line}`}  `);
  const words = message.split("\n").slice(0, 4);
  return [
    `${paint("red", "✖")} ${place}${name}`,
    ...words.filter((text) => text.trim() !== "").map((text) => `    ${text}`),
  ];
}
