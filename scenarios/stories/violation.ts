import { askThrough, countOf, must, type Story, textOf } from "../story.ts";

/** A program that prints without end is ended, says why in `sandbox/error.json`, and becomes a dead letter. */
export const violation: Story = {
  name: "a broken limit is named",
  needsSandbox: true,
  async walk(stage) {
    const all = await askThrough(stage, {
      intent: "code.buildtest",
      language: "shell",
      workspace: { "flood.sh": "while :; do echo flood flood flood flood; done\n" },
      test: "sh flood.sh",
    });
    const { trace } = all;
    must(trace.failure?.code === "sandbox_violation", `the trace fails with its code, not ${trace.failure?.code}`);
    must(countOf(all, "buildtest_retry") === 1 && countOf(all, "buildtest_dead") === 1, "tried twice, then dead");

    const error = JSON.parse(await textOf(stage, trace.trace_id, "sandbox/error.json"));
    must(error.trace_id === trace.trace_id, "error.json has the trace_id");
    must(error.reason === "output", `error.json has the reason output, not ${error.reason}`);
    return {
      saw: `${error.reason}: ${error.observed} of ${error.limit} bytes, class ${error.class}`,
      traces: [trace.trace_id],
    };
  },
};
