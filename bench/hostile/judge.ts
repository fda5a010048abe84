import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ExecAnswer } from "../../src/contracts/exec.ts";
import type { DoorRun } from "./door.ts";
import type { HostFacts, HostWatch } from "./host.ts";
import { expected, type Hostile } from "./list.ts";

const interpreters: Record<string, string> = { py: "python3", js: "node", sh: "sh" };

/** The run that carries a hostile program into a box, with what it shares with others and what it is told of the host. */
export function runOf(
  { program, limits = {}, collect = [], shown }: Hostile,
  folder: string,
  facts: HostFacts,
): DoorRun {
  const interpreter = interpreters[program.split(".").at(-1) ?? ""] ?? "sh";
  const read = (name: string) => readFileSync(join(folder, name));
  return {
    argv: [interpreter, program],
    files: { [program]: read(program), "box.py": read("box.py"), "host.json": JSON.stringify(facts) },
    limits: {
      ...limits,
      time: { wall_ms: 10_000, cpu_ms: 8000, ...limits.time },
      ...(shown && { binds: [join(facts.folder, "shown")] }),
    },
    collect,
  };
}

/** What is wrong with how it ended; empty: it was contained, with a reason that was to be. */
export async function judge(one: Hostile, answer: ExecAnswer, host: HostWatch): Promise<string[]> {
  const { facts } = host;
  const out = Buffer.from(answer.stdout, "base64").toString("latin1");
  const err = Buffer.from(answer.stderr, "base64").toString("latin1");
  const wrong = [...`${out}\n${err}`.matchAll(/^ESCAPED.*/gm)].map(([line]) => line.slice(0, 200));

  const reasons = expected(one, answer.class);
  if (Array.isArray(reasons) && !reasons.includes(answer.reason)) {
    wrong.push(`reason ${answer.reason}, wanted ${reasons.join(" or ")}; it said ${(err || out).slice(-200)}`);
  }
  const said = /^CONTAINED$/m.test(out);
  if (!said && !one.silent) wrong.push(`it did not come to its end: ${err.slice(-300)}`);
  if ((out + err).includes(facts.secret)) wrong.push("the secret is in its output");

  const names = answer.artifacts.map(([path]) => path);
  if (one.back && names.toSorted().join("\n") !== one.back.toSorted().join("\n")) {
    wrong.push(`other files came back: ${names.join(" ")}`);
  }
  if (names.some((name) => name.startsWith("/") || name.split("/").includes(".."))) wrong.push("a name leads out");
  if (answer.artifacts.some(([, , content]) => Buffer.from(content, "base64").includes(facts.secret))) {
    wrong.push("the secret is in a file that came back");
  }
  return [...wrong, ...(await host.harm())];
}
