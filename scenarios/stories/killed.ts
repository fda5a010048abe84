import { askThrough, countOf, must, type Story } from "../story.ts";

/** The worker is killed -9 while the sandbox runs its tests; another takes the message up and the trace ends well. */
export const killed: Story = {
  name: "a worker killed in the middle",
  needsSandbox: true,
  async walk(stage) {
    let kills = 0;
    const all = await askThrough(
      stage,
      { intent: "code.buildtest", workspace: { "slow.test.js": slow }, test: "node --test" },
      {
        onEvent: ({ kind }) => {
          if (kind !== "buildtest_acked" || kills > 0) return;
          kills += 1;
          stage.killWorker();
        },
      },
    );
    must(kills === 1, "the worker was killed");
    must(all.trace.answer?.verdict === "pass", `the trace ends well: ${all.trace.failure?.message}`);
    const { attempts } = all.messages.find(({ service }) => service === "buildtest") ?? { attempts: 0 };
    must(attempts === 2, `it took a second attempt, not ${attempts}`);
    must(countOf(all, "buildtest_done") === 1, "it was carried out once");
    return { saw: `attempt ${attempts} finished what the killed one began`, traces: [all.trace.trace_id] };
  },
};

const slow = `
const { test } = require("node:test");
test("takes its time", async () => {
  await new Promise((resolve) => setTimeout(resolve, 1500));
});
`;
