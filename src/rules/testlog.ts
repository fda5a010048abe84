import type { FailingTest, TestCounts } from "../contracts/code.ts";

/** What a runner's output says about its tests; counts null when it is none of the kinds we read. */
export type Reading = { tests: TestCounts | null; failing: FailingTest[] };

/**
 * Reads the output of node's runner (spec or TAP), of another TAP producer or of python's unittest; of a plain python
 * program, the assertion it ended with. A stranger wrote it: whatever it says, reading takes time in proportion to its
 * length, and at most 50 failing tests come out.
 */
export function readTestLog(log: string): Reading {
  const text = plainText(log);
  for (const read of [readSpec, readTap, readUnittest]) {
    const reading = read(text);
    if (reading.tests) return reading;
  }
  return { tests: null, failing: readTraceback(text) };
}

/** A log without its colours, its lines ended as ours. */
export function plainText(log: string): string {
  return log.replaceAll(colours, "").replaceAll("\r\n", "\n");
}

/** How many failing tests are named at most. */
export const mostFailing = 50;

const colours = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g");
const mostBlockLines = 200;

/** TAP 13/14 (https://testanything.org); node writes a YAML block behind each `not ok` and its totals at the end. */
function readTap(text: string): Reading {
  const lines = text.split("\n");
  const tests = totals(text, "#") ?? counted(lines);
  if (!tests) return { tests, failing: [] };
  const failing: FailingTest[] = [];
  for (const [at, line] of lines.entries()) {
    if (failing.length === mostFailing) break;
    const [, indent = "", name] = /^( *)not ok\b(?: \d+)?(?: - | )?(.*)$/.exec(line) ?? [];
    if (name === undefined || directive.test(name)) continue;
    const block = blockBehind(lines, at, indent);
    if (/failureType: '?subtestsFailed/.test(block)) continue; // its subtests are named themselves
    const [, file = null, atLine = null] = /location: '?(.+?)(?::(\d+):\d+)?'?$/m.exec(block) ?? [];
    failing.push(failingTest(unescaped(name), { file, line: atLine }, errorIn(block)));
  }
  return { tests, failing };
}

const directive = / # (TODO|SKIP)\b/i;

/** The outermost results counted, for a producer that says no totals. */
function counted(lines: string[]): TestCounts | null {
  if (!lines.some((line) => /^TAP version 1[34]$/.test(line))) return null;
  const results = lines.filter((line) => /^(not )?ok\b/.test(line));
  const skipped = results.filter((line) => directive.test(line)).length;
  const failed = results.filter((line) => line.startsWith("not") && !directive.test(line)).length;
  return { passed: results.length - skipped - failed, failed, skipped };
}

function blockBehind(lines: string[], at: number, indent: string): string {
  if (lines[at + 1]?.trim() !== "---") return "";
  const behind = lines.slice(at + 2, at + 2 + mostBlockLines);
  const end = behind.indexOf(`${indent}  ...`);
  return behind.slice(0, end === -1 ? undefined : end).join("\n");
}

/** The error of a YAML block: one line, or the indented text behind `|-`. */
function errorIn(block: string): string {
  const lines = block.split("\n").map((line) => line.trim());
  const at = lines.findIndex((line) => line.startsWith("error:"));
  const first = lines[at]?.replace(/^error: */, "") ?? "";
  if (first !== "|-") return first.replace(/^'(.*)'$/, "$1");
  const behind = lines.slice(at + 1);
  const end = behind.findIndex((line) => /^(code|name|stack):/.test(line));
  return behind.slice(0, end === -1 ? undefined : end).join("\n");
}

function unescaped(name: string): string {
  return name.replaceAll("\\#", "#").replaceAll("\\\\", "\\").trim();
}

/** Node's spec reporter: `✖ name (1.2ms)`, repeated under "failing tests" with the error below. */
function readSpec(text: string): Reading {
  const tests = totals(text, "ℹ");
  if (!tests) return { tests, failing: [] };
  const [, behind = ""] = text.split(/^✖ failing tests:$/m).slice(-2);
  const found = behind.matchAll(/^(?:test at (.+?):(\d+):\d+\n)?✖ (.+?) \([\d.]+m?s\)\n((?: {2,}.*\n?){0,6})/gm);
  const failing: FailingTest[] = [];
  for (const [, file = null, line = null, name = "", error = ""] of found) {
    if (failing.length === mostFailing) break;
    failing.push(failingTest(name, { file, line }, error));
  }
  return { tests, failing };
}

/** Node's totals. They come last: what a test printed before in their form does not count. */
function totals(text: string, sign: string): TestCounts | null {
  const of = (what: string) => lastOf(text, new RegExp(`^${sign} ${what} +(\\d{1,9})$`, "gm"));
  const [passed, failed] = [of("pass"), of("fail")];
  if (passed === null || failed === null) return null;
  return { passed, failed: failed + (of("cancelled") ?? 0), skipped: (of("skipped") ?? 0) + (of("todo") ?? 0) };
}

function lastOf(text: string, pattern: RegExp): number | null {
  let last: string | undefined;
  for (const [, value] of text.matchAll(pattern)) last = value;
  return last === undefined ? null : Number(last);
}

/** Python's unittest: `FAIL: name (place)`, a traceback, then `Ran N tests` and `FAILED (failures=1)`. */
function readUnittest(text: string): Reading {
  const ran = lastOf(text, /^Ran (\d{1,9}) tests? in/gm);
  if (ran === null) return { tests: null, failing: [] };
  const of = (what: string) => lastOf(text, new RegExp(`^(?:FAILED|OK) \\((?:.*, )?${what}=(\\d{1,9})`, "gm")) ?? 0;
  const failed = of("failures") + of("errors") + of("unexpected successes");
  const skipped = of("skipped");
  const failing: FailingTest[] = [];
  const found = text.matchAll(/^(?:FAIL|ERROR): (\S+)(?: \((.+)\))?.*\n(?:.*\n)?-{20,}\n/gm);
  for (const { 0: head, 1: name = "", 2: place, index } of found) {
    if (failing.length === mostFailing) break;
    const [trace = ""] = text.slice(index + head.length, index + head.length + 20_000).split(/\n(?:\n|=+\n|-+\n)/, 1);
    const [, file = null, line = null] = /File "(.+?)"(?:, line (\d+))?/.exec(trace) ?? [];
    failing.push(
      failingTest(place ? `${name} (${place})` : name, { file, line }, trace.trim().split("\n").at(-1) ?? ""),
    );
  }
  return { tests: { passed: Math.max(0, ran - failed - skipped), failed, skipped }, failing };
}

/** Where in a test's code, as far as its runner says. */
export type Place = { file: string | null; line: string | null };

/**
 * The last traceback of a plain python program: the frame of a test when one of them is, else the innermost; what stood
 * there is part of the name, because one function often holds many assertions.
 */
function readTraceback(text: string): FailingTest[] {
  const from = text.lastIndexOf("Traceback (most recent call last):");
  const trace = text.slice(from === -1 ? -20_000 : from).slice(0, 20_000);
  const frames = [...trace.matchAll(/^ {2}File "(.+?)", line (\d{1,9})(?:, in (.+))?\n {4}(.*)$/gm)];
  const error = /^([\w.]*(?:Error|Exception|Exit|Interrupt)\b.*)$/gm;
  const said = [...trace.matchAll(error)].at(-1)?.[1];
  const tested = frames.findLast(([, , , place = ""]) => /test|check/i.test(place)) ?? frames.at(-1);
  if (!tested || said === undefined) return [];
  const [, file = null, line = null, place = "", source = ""] = tested;
  const name = place === "" || place === "<module>" ? source.trim() : `${place}: ${source.trim()}`;
  return [failingTest(name, { file, line }, said)];
}

/** A failing test with what is worth keeping of it: of its message the first four lines that are no stack frames. */
export function failingTest(name: string, { file, line }: Place, message: string): FailingTest {
  const said = message
    .split("\n", 50)
    .map((line) => line.trim().slice(0, 500))
    .filter((line) => line !== "" && !line.startsWith("at "));
  return {
    name: name.slice(0, 300),
    file: file?.slice(0, 300).replace(/^(file:\/\/)?\/work\//, "") ?? null,
    line: line === null ? null : Number(line),
    message: said.slice(0, 4).join("\n"),
  };
}

/** What of a failing log goes back to a model: the failing tests first, then the end, within `most` characters. */
export function trimLog(log: string, { failing }: Reading, most = 8000): string {
  const named = failing.slice(0, 10).map(({ name, message }) => `failing: ${name}\n${message}`);
  const head = named.join("\n").slice(0, most / 2);
  const tail = log.slice(-(most - head.length - 1));
  return head === "" ? tail : `${head}\n${tail}`;
}
