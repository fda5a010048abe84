import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { askThrough, must, type Stage, type Story, textOf } from "../story.ts";

/** Packages that nobody here wrote, with the tests they ship. */
const strangers = ["process-warning", "@fastify/error"];

/** Real packages are built and tested in the sandbox, and pass. */
export const packages: Story = {
  name: "strangers' packages pass their own tests",
  needsSandbox: true,
  async walk(stage) {
    const traces: string[] = [];
    const saw: string[] = [];
    for (const name of strangers) {
      const workspace = await filesOf(stage, name);
      const { trace } = await askThrough(stage, { intent: "code.buildtest", workspace, test: "node --test" });
      must(trace.answer?.verdict === "pass", `${name} passes: ${trace.answer?.text ?? trace.failure?.message}`);

      const report = JSON.parse(await textOf(stage, trace.trace_id, "build-test/report.json"));
      must(report.verdict === "pass" && report.tests?.passed > 0, `${name} has a report that counts its tests`);
      must((await textOf(stage, trace.trace_id, "build-test/test.log")).length > 0, `${name} has a log`);
      saw.push(`${name}: ${report.tests.passed} tests`);
      traces.push(trace.trace_id);
    }
    return { saw: saw.join(", "), traces };
  },
};

/** The same with one line broken: a failing verdict that names the failing test. */
export const broken: Story = {
  name: "one broken line is a failing verdict",
  needsSandbox: true,
  async walk(stage) {
    const workspace = await filesOf(stage, "process-warning");
    const whole = workspace["index.js"] ?? "";
    const cut = whole.replace("warning.emitted = true", "warning.emitted = false");
    must(cut !== whole, "the line that is broken is there");

    const { trace } = await askThrough(stage, {
      intent: "code.buildtest",
      workspace: { ...workspace, "index.js": cut },
      test: "node --test",
    });

    must(trace.status === "done" && trace.answer?.verdict === "fail", "a red test is an answer with verdict fail");
    const report = JSON.parse(await textOf(stage, trace.trace_id, "build-test/report.json"));
    const names: string[] = report.failing.map(({ name }: { name: string }) => name);
    const [first] = names;
    must(first !== undefined, "the report names the failing tests");
    must(trace.answer.text.includes(first), "the answer names the first of them");
    return { saw: `${names.length} red, first: "${first}"`, traces: [trace.trace_id] };
  },
};

/** The files of an installed package that its tests need. */
async function filesOf(stage: Stage, name: string): Promise<Record<string, string>> {
  const folder = stage.packageFolder(name);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const wanted = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((path) => /^(index\.js|package\.json|(test|examples)\/.*)$/.test(path));
  return Object.fromEntries(
    await Promise.all(wanted.map(async (path) => [path, await readFile(join(folder, path), "utf8")])),
  );
}
