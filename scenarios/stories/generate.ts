import { askThrough, countOf, must, type Story, textOf } from "../story.ts";

// The answers of the model are scenarios/cassettes/generate.json: written by hand, and labelled as a replay.

/** A wish for code that is green at the first try. */
export const firstTry: Story = {
  name: "code that is green at the first try",
  needsSandbox: true,
  async walk(stage) {
    const all = await askThrough(stage, slugify);
    const { trace } = all;
    must(trace.answer?.verdict === "pass", `it is green: ${trace.failure?.message ?? trace.answer?.text}`);
    must(trace.answer.replay, "the answer says that it is a replay");
    must(countOf(all, "codegen_done") === 1, "one round was enough");
    must(countOf(all, "orchestrate_decision") === 1, "the decision is kept");
    must((await textOf(stage, trace.trace_id, "codegen/diff.patch")).includes("+++ b/slugify.js"), "the patch is kept");
    return { saw: "1 round", traces: [trace.trace_id] };
  },
};

/** A wish whose first answer is red: the failing log goes back to the model, and the second answer is green. */
export const repaired: Story = {
  name: "code that is green after one repair",
  needsSandbox: true,
  async walk(stage) {
    const all = await askThrough(stage, {
      intent: "code.generate",
      message: "Write toRoman(number) in roman.js: the Roman numeral of 1 to 3999.",
      workspace: { "package.json": esm, "roman.test.js": romanTest },
    });
    const { trace } = all;
    must(trace.answer?.verdict === "pass", `it is green: ${trace.failure?.message ?? trace.answer?.text}`);
    must(countOf(all, "codegen_done") === 2 && countOf(all, "buildtest_done") === 2, "there were two rounds");
    const first = JSON.parse(await textOf(stage, trace.trace_id, "build-test/rounds/1/report.json"));
    must(first.verdict === "fail" && first.failing.length > 0, "the first round was red and names its test");
    return { saw: `2 rounds; red first: "${first.failing[0].name}"`, traces: [trace.trace_id] };
  },
};

/** A wish whose repair breaks something else: the log of that goes back too, and the third answer is green. */
export const repairedTwice: Story = {
  name: "code whose repair needs two rounds",
  needsSandbox: true,
  async walk(stage) {
    const all = await askThrough(stage, {
      intent: "code.generate",
      message: "Write median(numbers) in median.js: the middle number, or the mean of the two in the middle.",
      workspace: { "package.json": esm, "median.test.js": medianTest },
      max_rounds: 3,
    });
    const { trace } = all;
    must(trace.answer?.verdict === "pass", `it is green: ${trace.failure?.message ?? trace.answer?.text}`);
    must(countOf(all, "codegen_done") === 3 && countOf(all, "buildtest_done") === 3, "there were three rounds");
    const red: string[] = [];
    for (const round of [1, 2]) {
      const report = JSON.parse(await textOf(stage, trace.trace_id, `build-test/rounds/${round}/report.json`));
      must(report.verdict === "fail" && report.failing.length === 1, `round ${round} was red and names its test`);
      red.push(report.failing[0].name);
    }
    must(red[0] !== red[1], "the first repair mended one test and broke another");
    return { saw: `3 rounds; red: "${red.join('", then "')}"`, traces: [trace.trace_id] };
  },
};

/** A wish that no answer fulfils: a dead letter with the last log, and no pretence. */
export const neverGreen: Story = {
  name: "code that is never green",
  needsSandbox: true,
  async walk(stage) {
    const all = await askThrough(stage, {
      intent: "code.generate",
      message: "Write parseDuration(text) in duration.js: milliseconds of '90s', '2m' or '1h30m'.",
      workspace: { "package.json": esm, "duration.test.js": durationTest },
      max_rounds: 3,
    });
    const { trace } = all;
    must(trace.failure?.code === "never_green", `it fails as never_green, not ${trace.failure?.code ?? trace.status}`);
    must(countOf(all, "codegen_done") === 3, "all three rounds were used");
    must(countOf(all, "buildtest_dead") === 1, "it is a dead letter");
    must(String(trace.failure.details.log).includes("1h30m"), "the last log is in the failure");
    return { saw: `dead after ${trace.failure.details.rounds} rounds, with the last log`, traces: [trace.trace_id] };
  },
};

const esm = `{ "type": "module", "scripts": { "test": "node --test" } }\n`;

const slugifyTest = `import assert from "node:assert";
import { test } from "node:test";
import { slugify } from "./slugify.js";

test("joins words with single dashes", () => assert.strictEqual(slugify("  Hello,  World! "), "hello-world"));
test("folds accents", () => assert.strictEqual(slugify("Crème brûlée"), "creme-brulee"));
`;

const romanTest = `import assert from "node:assert";
import { test } from "node:test";
import { toRoman } from "./roman.js";

test("adds letters", () => assert.strictEqual(toRoman(2763), "MMDCCLXIII"));
test("writes the numbers that subtract", () => assert.strictEqual(toRoman(1994), "MCMXCIV"));
`;

const medianTest = `import assert from "node:assert";
import { test } from "node:test";
import { median } from "./median.js";

test("takes the middle one", () => assert.strictEqual(median([3, 1, 2]), 2));
test("takes the mean of two in the middle", () => assert.strictEqual(median([4, 1, 3, 2]), 2.5));
test("sorts by value, not by text", () => assert.strictEqual(median([10, 9, 1]), 9));
`;

const durationTest = `import assert from "node:assert";
import { test } from "node:test";
import { parseDuration } from "./duration.js";

test("reads one unit", () => assert.strictEqual(parseDuration("90s"), 90_000));
test("adds units: 1h30m", () => assert.strictEqual(parseDuration("1h30m"), 5_400_000));
`;

/** A wish that is recorded to be green at the first try. */
export const slugify = {
  intent: "code.generate" as const,
  message: "Write slugify(text) in slugify.js: lower-case words joined by single dashes, accents folded.",
  workspace: { "package.json": esm, "slugify.test.js": slugifyTest },
};
