import type { Reporter, TestModule } from "vitest/node";

/** The last line of a run, for people and machines alike: 'N passed, N failed', and what was skipped. */
export class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const states = modules.flatMap((module) => [...module.children.allTests()].map((test) => test.result().state));
    const broken = modules.filter((module) => module.errors().length > 0).length; // a file that did not even load
    const count = (state: string) => states.filter((one) => one === state).length;
    const skipped = count("skipped");
    const notRun = skipped > 0 ? `, ${skipped} skipped` : "";
    process.stdout.write(`\n${count("passed")} passed, ${count("failed") + broken} failed${notRun}\n`);
  }
}
