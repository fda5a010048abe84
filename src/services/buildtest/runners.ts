/** Where a runner leaves its report for programs in the work folder: JUnit's XML, or what jest writes. */
export const junitFile = "junit.xml";
export const jestFile = "jest.json";
export const reportFiles = [junitFile, jestFile];

/** Node's runner when the command is ours to choose: text for people, and JUnit for programs. */
export const nodeTest = `node --test --test-reporter=spec --test-reporter-destination=stdout --test-reporter=junit --test-reporter-destination=${junitFile}`;

/** Vitest, which would watch for changes without `run`. */
const vitest = `vitest run --reporter=default --reporter=junit --outputFile.junit=${junitFile}`;

const jest = `--json --outputFile=${jestFile}`;

/** Pytest runs unittest's tests too; unittest passes pytest's over in silence, which would be a false green. */
export const pytest = `python3 -m pytest -p no:cacheprovider --junitxml=${junitFile}`;

/** What may stand before a runner: variables, and who begins it. */
const variables = String.raw`(?:\w+=(?:"[^"]*"|[^\s"]\S*)? +)*`;
const before = `${variables}(?:cross-env +${variables})?(?:npx +)?`;
const vitestCall = new RegExp(String.raw`^(${before}(?:\S*node_modules/\.bin/)?)vitest(?: +run)?((?: .*)?)$`);
const jestCall = new RegExp(
  String.raw`^(${before}(?:node(?: +--\S+)* +)?(?:\S*node_modules/(?:\.bin|jest/bin)/)?jest(?:\.js)?)((?: .*)?)$`,
);

/**
 * A script that ends in a call of a runner we know, with a report for programs beside its text; any other as it is, and
 * one that says itself what is reported, or how.
 */
export function reported(script: string): string {
  const at = script.lastIndexOf("&&");
  const from = at === -1 ? 0 : at + 2;
  const [, space = "", call = ""] = /^(\s*)(.*)$/s.exec(script.slice(from)) ?? [];
  return script.slice(0, from) + space + withReport(call);
}

function withReport(call: string): string {
  if (/[|&;<>`\n]|--(test-)?reporter|--outputFile|--json\b|--watch|--ui\b/.test(call)) return call;
  if (/^node --test(?= |$)/.test(call)) return call.replace("node --test", nodeTest);
  const [, before = "", rest] = vitestCall.exec(call) ?? [];
  if (rest !== undefined && !/^ +(watch|dev|related|bench|init|list)\b/.test(rest)) return before + vitest + rest;
  const [, named = "", more] = jestCall.exec(call) ?? [];
  return more === undefined ? call : `${named} ${jest}${more}`;
}
