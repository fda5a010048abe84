import type { FailingTest, TestCounts } from "../contracts/code.ts";

/** What a runner's output says about its tests; counts null when it is none of the kinds we read. */
export type Reading = { tests: TestCounts | null; failing: FailingTest[] };

/** Reads the output of node's runner (TAP or spec) or of python's unittest. */
export function readTestLog(log: string): Reading {
  const text = log.replaceAll(colours, "");
  return (
    [readTap, readSpec, readUnittest].map((read) => read(text)).find(({ tests }) => tests) ?? {
      tests: null,
      failing: [],
    }
  );
}

const colours = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g");
const mostFailing = 50;

/** TAP 13/14 as node writes it: https://testanything.org, a YAML block behind each `not ok`. */
function readTap(text: string): Reading {
  const tests = totals(text, "#");
  if (!tests) return { tests, failing: [] };
  const lines = text.split("\n");
  const failing = lines.flatMap((line, at) => {
    const [, indent, name] = /^(\s*)not ok \d+ - (.*)$/.exec(line) ?? [];
    if (name === undefined || / # (TODO|SKIP)\b/i.test(name)) return [];
    const block = blockBehind(lines, at, indent ?? "");
    if (/failureType: '?subtestsFailed/.test(block)) return []; // its subtests are named themselves
    const [, file = null] = /location: '?(.+?)(?::\d+:\d+)?'?$/m.exec(block) ?? [];
    return [{ name: unescaped(name), file, message: errorIn(block) }];
  });
  return { tests, failing: failing.slice(0, mostFailing) };
}

function blockBehind(lines: string[], at: number, indent: string): string {
  if (lines[at + 1]?.trim() !== "---") return "";
  const end = lines.findIndex((line, n) => n > at && line === `${indent}  ...`);
  return lines.slice(at + 2, end === -1 ? at + 40 : end).join("\n");
}

/** The error of a YAML block: one line, or the indented text behind `|-`. */
function errorIn(block: string): string {
  const lines = block.split("\n").map((line) => line.trim());
  const at = lines.findIndex((line) => line.startsWith("error:"));
  const first = lines[at]?.replace(/^error: */, "") ?? "";
  if (first !== "|-") return first.replace(/^'(.*)'$/, "$1");
  const behind = lines.slice(at + 1);
  const end = behind.findIndex((line) => /^(code|name|stack):/.test(line));
  return behind
    .slice(0, end === -1 ? undefined : end)
    .filter((line) => line !== "")
    .slice(0, 4)
    .join("\n");
}

function unescaped(name: string): string {
  return name.replaceAll("\\#", "#").replaceAll("\\\\", "\\").trim();
}

/** Node's spec reporter: `✖ name (1.2ms)`, repeated under "failing tests" with the error below. */
function readSpec(text: string): Reading {
  const tests = totals(text, "ℹ");
  if (!tests) return { tests, failing: [] };
  const [, behind = ""] = text.split(/^✖ failing tests:$/m);
  const failing = [...behind.matchAll(/^(?:test at (.+?):\d+:\d+\n)?✖ (.+?) \([\d.]+m?s\)\n((?: {2,}.*\n?){0,6})/gm)];
  return {
    tests,
    failing: failing.slice(0, mostFailing).map(([, file, name = "", error = ""]) => ({
      name,
      file: file ?? null,
      message: error
        .split("\n")
        .map((line) => line.trim())
        .filter((line) => line !== "")
        .slice(0, 4)
        .join("\n"),
    })),
  };
}

function totals(text: string, sign: string): TestCounts | null {
  const of = (what: string) => new RegExp(`^${sign} ${what} (\\d+)$`, "m").exec(text)?.[1];
  const [passed, failed] = [of("pass"), of("fail")];
  if (passed === undefined || failed === undefined) return null;
  return {
    passed: Number(passed),
    failed: Number(failed) + Number(of("cancelled") ?? 0),
    skipped: Number(of("skipped") ?? 0),
  };
}

/** Python's unittest: `FAIL: name (place)`, a traceback, then `Ran N tests` and `FAILED (failures=1)`. */
function readUnittest(text: string): Reading {
  const ran = /^Ran (\d+) tests? in/m.exec(text)?.[1];
  if (ran === undefined) return { tests: null, failing: [] };
  const of = (what: string) => Number(new RegExp(`^(?:FAILED|OK) \\(.*?${what}=(\\d+)`, "m").exec(text)?.[1] ?? 0);
  const failed = of("failures") + of("errors") + of("unexpected successes");
  const skipped = of("skipped");
  const failing = [
    ...text.matchAll(/^(?:FAIL|ERROR): (\S+)(?: \((.+)\))?.*\n-+\n([\s\S]*?)(?=\n\n|\n=+\n|$(?![\s\S]))/gm),
  ];
  return {
    tests: { passed: Math.max(0, Number(ran) - failed - skipped), failed, skipped },
    failing: failing.slice(0, mostFailing).map(([, name = "", place, trace = ""]) => ({
      name: place ? `${name} (${place})` : name,
      file: /File "(.+?)"/.exec(trace)?.[1] ?? null,
      message: trace.trim().split("\n").at(-1) ?? "",
    })),
  };
}

/** What of a failing log goes back to a model: the failing tests first, then the end, within `most` characters. */
export function trimLog(log: string, { failing }: Reading, most = 8000): string {
  const named = failing.slice(0, 10).map(({ name, message }) => `failing: ${name}\n${message}`);
  const head = named.join("\n").slice(0, most / 2);
  const tail = log.slice(-(most - head.length - 1));
  return head === "" ? tail : `${head}\n${tail}`;
}
