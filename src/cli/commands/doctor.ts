import { exitCodes } from "../../app/child.ts";
import { examine, type Finding } from "../../app/doctor.ts";
import { json, paint, say, table } from "../output.ts";

/** `dagent doctor`: what this machine has and what it lacks. Exit code 69 when something needed is missing. */
export async function doctor(options: { json?: boolean }): Promise<void> {
  const findings = await examine();
  const missing = findings.filter(({ state }) => state === "missing");
  if (options.json) json({ well: missing.length === 0, findings });
  else {
    say(table(findings.map((one) => [mark(one), one.what, one.found])));
    for (const { what, remedy } of findings) if (remedy) say(`\n${paint("bold", what)}: ${remedy}`);
  }
  process.exitCode = missing.length === 0 ? exitCodes.ok : exitCodes.unavailable;
}

function mark({ state }: Finding): string {
  if (state === "there") return paint("green", "there");
  return state === "missing" ? paint("red", "missing") : paint("yellow", "optional");
}
