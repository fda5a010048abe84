import type { FailingTest } from "../contracts/code.ts";
import { failingTest, mostFailing, type Place, type Reading } from "./testlog.ts";

/**
 * Reads a report in JUnit's XML, as node, pytest and many others write it: its `testcase` elements, wherever they stand,
 * with `failure`, `error` or `skipped` in them. Counts null when there is none. Time is in proportion to the length.
 */
export function readJunit(xml: string): Reading {
  const tests = { passed: 0, failed: 0, skipped: 0 };
  const failing: FailingTest[] = [];
  let open: Case | null = null;

  function end({ name, file, line, ended, said }: Case): void {
    tests[ended] += 1;
    if (ended === "failed" && failing.length < mostFailing) failing.push(failingTest(name, { file, line }, said));
    open = null;
  }

  for (const { name, closes, attributes, textFrom } of tagsOf(xml)) {
    if (name === "testcase") {
      if (open) end(open);
      if (!closes.before) open = { ...placeOf(attributes), name: attributes.name ?? "", ended: "passed", said: "" };
      if (open && closes.itself) end(open);
    } else if (open && !closes.before) note(open, name, attributes.message ?? textAt(xml, textFrom));
  }
  if (open) end(open);
  return tests.passed + tests.failed + tests.skipped > 0 ? { tests, failing } : { tests: null, failing: [] };
}

type Case = Place & { name: string; ended: "passed" | "failed" | "skipped"; said: string };

/** Pytest says the line beside the file; others the file alone. */
function placeOf({ file = null, line = null }: Record<string, string | null>): Place {
  return { file, line: line !== null && /^\d{1,9}$/.test(line) ? line : null };
}

/** What an element inside a testcase says about it. A skipped one stays so: node's `todo` may hold a failure too. */
function note(open: Case, name: string, said: string): void {
  if (name === "skipped") open.ended = "skipped";
  if ((name !== "failure" && name !== "error") || open.ended !== "passed") return;
  open.ended = "failed";
  open.said = said;
}

type Tag = {
  name: string;
  closes: { before: boolean; itself: boolean }; // `</name>`, `<name/>`
  attributes: Record<string, string>;
  textFrom: number; // where what is inside begins
};

const longestTag = 65_536;

/** The tags of a document, in order; comments, CDATA and declarations are stepped over. Ends where it is broken. */
function* tagsOf(xml: string): Generator<Tag> {
  for (let at = xml.indexOf("<"); at !== -1; ) {
    const end = endOf(xml, at);
    if (end === -1) return;
    const [, slash, name] = /^<(\/?)([\w:.-]+)/.exec(xml.slice(at, at + 64)) ?? [];
    if (name !== undefined && end - at <= longestTag) {
      const inside = xml.slice(at, end - 1);
      const closes = { before: slash === "/", itself: inside.endsWith("/") };
      yield { name, closes, attributes: attributesOf(inside), textFrom: end };
    }
    at = xml.indexOf("<", end);
  }
}

/** Where the markup that begins at `from` is over; -1 when it never is. */
function endOf(xml: string, from: number): number {
  if (xml.startsWith("<!--", from)) return behind(xml, "-->", from + 4);
  if (xml.startsWith("<![CDATA[", from)) return behind(xml, "]]>", from + 9);
  for (let at = from + 1; at < xml.length; at++) {
    const letter = xml[at];
    if (letter === ">") return at + 1;
    if (letter !== '"' && letter !== "'") continue;
    at = xml.indexOf(letter, at + 1); // a quoted value may hold what would end the tag
    if (at === -1) return -1;
  }
  return -1;
}

function behind(xml: string, mark: string, from: number): number {
  const at = xml.indexOf(mark, from);
  return at === -1 ? -1 : at + mark.length;
}

function attributesOf(tag: string): Record<string, string> {
  const found = tag.matchAll(/\s([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g);
  return Object.fromEntries([...found].map(([, name = "", double, single]) => [name, decoded(double ?? single ?? "")]));
}

/** The beginning of the text of an element, plain or as CDATA. */
function textAt(xml: string, from: number): string {
  const text = xml.slice(from, from + 4000).trimStart();
  if (text.startsWith("<![CDATA[")) return text.slice(9).split("]]>", 1)[0] ?? "";
  return decoded(text.split("<", 1)[0] ?? "");
}

const entities: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

function decoded(text: string): string {
  return text.replaceAll(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(lt|gt|quot|apos|amp));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return entities[String(name).toLowerCase()] ?? whole;
    const point = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });
}
