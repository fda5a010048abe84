import { z } from "zod";
import type { FailingTest } from "../contracts/code.ts";
import { failingTest, mostFailing, type Place, plainText, type Reading } from "./testlog.ts";

/** The longest report that is read, in characters. */
const mostLetters = 16_777_216;

const text = z.string().catch("");
const Assertion = z.object({
  ancestorTitles: z.array(text).catch([]),
  title: text,
  status: text,
  failureMessages: z.array(text).catch([]),
});
const File = z.object({
  name: text,
  status: text,
  message: text,
  assertionResults: z
    .array(Assertion.catch({ ancestorTitles: [], title: "", status: "", failureMessages: [] }))
    .catch([]),
});
const Report = z.object({ testResults: z.array(File.nullable().catch(null)) });

/**
 * Reads the report that jest writes with `--json`, and vitest with its reporter of that name. A file that could not be run
 * counts as a failed test. Counts null when it is no such report; whatever a stranger wrote, at most 50 failing tests come
 * out.
 */
export function readJestReport(json: string): Reading {
  const report = reportIn(json);
  const tests = { passed: 0, failed: 0, skipped: 0 };
  const failing: FailingTest[] = [];
  for (const file of report) {
    const failed = file.assertionResults.filter(({ status }) => status === "failed");
    const passed = file.assertionResults.filter(({ status }) => status === "passed").length;
    const unrun = file.status === "failed" && failed.length === 0;
    tests.passed += passed;
    tests.failed += unrun ? 1 : failed.length;
    tests.skipped += file.assertionResults.length - passed - failed.length;
    if (unrun) failing.push(unrunIn(file));
    failing.push(...failed.slice(0, mostFailing).map((one) => failedIn(file, one)));
  }
  if (tests.passed + tests.failed + tests.skipped === 0) return { tests: null, failing: [] };
  return { tests, failing: failing.slice(0, mostFailing) };
}

type File = z.infer<typeof File>;

function reportIn(json: string): File[] {
  if (json === "" || json.length > mostLetters) return [];
  try {
    return Report.parse(JSON.parse(json)).testResults.flatMap((file) => file ?? []);
  } catch {
    return []; // a run that was ended while it wrote, or something else of that name
  }
}

function failedIn(
  { name: file }: File,
  { ancestorTitles, title, failureMessages: [said = ""] }: z.infer<typeof Assertion>,
): FailingTest {
  const message = plainText(said);
  return failingTest([...ancestorTitles, title].join(" › "), placeIn(file, message), message);
}

/** Its message begins with what it is: `● Test suite failed to run`. */
function unrunIn({ name: file, message: said }: File): FailingTest {
  const message = plainText(said).replace(/^\s*● Test suite failed to run\s*\n/, "");
  return failingTest("Test suite failed to run", placeIn(file, message), message);
}

/** A test stands in its file, on the line of it that the message shows first. */
function placeIn(file: string, message: string): Place {
  if (file === "") return { file: null, line: null };
  const short = file.replace(/^\/work\//, "");
  for (const [, at = "", line = ""] of message.matchAll(/(?:\(|at )(?:file:\/\/)?([^\s():]{1,300}):(\d{1,9}):\d{1,9}/g))
    if (at === file || at === short) return { file, line };
  return { file, line: null };
}
