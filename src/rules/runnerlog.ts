import type { FailingTest, TestCounts } from "../contracts/code.ts";
import { failingTest, mostFailing, type Place, plainText, type Reading } from "./testlog.ts";

/**
 * Reads what runners print for people: pytest, jest, vitest, mocha; for where they left no report for programs. Whatever a
 * stranger printed, it takes time in proportion to its length.
 */
export function readRunnerLog(log: string): Reading {
  const text = plainText(log);
  for (const read of [readPytest, readJest, readVitest, readMocha]) {
    const reading = read(text);
    if (reading.tests) return reading;
  }
  return { tests: null, failing: [] };
}

const unknown: Reading = { tests: null, failing: [] };
const nowhere: Place = { file: null, line: null };

/** `2 failed, 2 passed, 1 skipped in 3.1s`, with or without its frame; above it, `FAILED file::test - why`. */
function readPytest(text: string): Reading {
  const line = lastLine(text, /^(?:=+ )?((?:\d{1,9} [a-z]+(?:, )?){1,9}) in [\d.]+s(?: \(.*\))?(?: =+)?$/gm);
  const of = line && countsIn(line);
  if (!of) return unknown;
  const tests = {
    passed: of("passed") + of("xpassed"),
    failed: of("failed") + of("error") + of("errors"),
    skipped: of("skipped") + of("xfailed"),
  };
  const found = text.matchAll(
    /^(?:FAILED|ERROR) ([^\s:]{1,300})(?:::(\S{1,300}(?: \S{1,300})??))?(?: - (.{0,500}))?$/gm,
  );
  return readingOf(tests, found, ([, file = null, name, why = ""]) =>
    failingTest(name ?? file ?? "", { file, line: null }, why),
  );
}

/** `Tests:  1 failed, 1 skipped, 1 passed, 3 total`; above it, `● suite › test` with its message behind. */
function readJest(text: string): Reading {
  const line = lastLine(text, /^Tests: +((?:\d{1,9} [a-z]+(?:, )?){1,6})$/gm);
  const of = line && countsIn(line);
  if (!of) return unknown;
  const tests = { passed: of("passed"), failed: of("failed"), skipped: of("skipped") + of("todo") };
  const found = text.matchAll(/^ {2}● (.{1,300})\n\n((?: {4}.*\n|\n){1,20})/gm);
  return readingOf(tests, found, ([, name = "", message = ""]) => failingTest(name, placeIn(message), message));
}

/** `Tests  1 failed | 1 passed | 1 skipped (3)`; above it, `FAIL file > suite > test` with its message behind. */
function readVitest(text: string): Reading {
  const line = lastLine(text, /^ +Tests {2}((?:\d{1,9} [a-z]+(?: \| )?){1,6}) \(\d{1,9}\)$/gm);
  const of = line && countsIn(line);
  if (!of) return unknown;
  const tests = { passed: of("passed"), failed: of("failed"), skipped: of("skipped") + of("todo") };
  const found = text.matchAll(/^ FAIL {2}(\S{1,300}) > (.{1,300})\n((?:(?! FAIL ).{0,500}\n){1,20})/gm);
  return readingOf(tests, found, ([, file = null, name = "", message = ""]) => {
    const { line: at } = placeIn(message);
    return failingTest(name, { file, line: at }, message);
  });
}

/** `1 passing (9ms)`, `1 pending`, `2 failing`, then each failing test by its number. */
function readMocha(text: string): Reading {
  const of = (what: string) => lastLine(text, new RegExp(`^ +(\\d{1,9}) ${what}(?: \\([^)]{1,30}\\))?$`, "gm"));
  const [passing, failing, pending] = [of("passing"), of("failing"), of("pending")];
  if (passing === null) return unknown;
  const tests = { passed: Number(passing), failed: Number(failing ?? 0), skipped: Number(pending ?? 0) };
  const behind = failing === null ? "" : text.slice(text.lastIndexOf(`${failing} failing`));
  const found = behind.matchAll(
    /^ {2}\d{1,6}\) (.{1,300}\n(?: {6,}\S.{0,300}\n){0,9}?(?: {6,}\S.{0,300}):)\n((?:(?! {2}\d{1,6}\) ).{0,500}\n){1,12})/gm,
  );
  return readingOf(tests, found, ([, names = "", message = ""]) => {
    const name = names.slice(0, -1).split("\n");
    return failingTest(name.map((part) => part.trim()).join(" "), placeIn(message), message);
  });
}

function readingOf(
  tests: TestCounts,
  found: Iterable<RegExpExecArray>,
  make: (one: RegExpExecArray) => FailingTest,
): Reading {
  const failing = new Map<string, FailingTest>(); // some say each twice
  for (const one of found) {
    if (failing.size === mostFailing) break;
    const test = make(one);
    failing.set(`${test.file} ${test.name}`, test);
  }
  return { tests, failing: tests.failed === 0 ? [] : [...failing.values()] };
}

/** The first place of the project in a message: what lies in node_modules is the runner's own. */
function placeIn(message: string): Place {
  for (const [, file = null, line = null] of message.matchAll(/(?:\(|❯ |at )([^\s():]{1,300}):(\d{1,9}):\d{1,9}/g)) {
    if (file && !/node_modules|^node:/.test(file)) return { file, line };
  }
  return nowhere;
}

function lastLine(text: string, pattern: RegExp): string | null {
  let last: string | null = null;
  for (const [, found = ""] of text.matchAll(pattern)) last = found;
  return last;
}

function countsIn(line: string): (what: string) => number {
  const counts = new Map([...line.matchAll(/(\d+) ([a-z]+)/g)].map(([, count, what = ""]) => [what, Number(count)]));
  return (what) => counts.get(what) ?? 0;
}
