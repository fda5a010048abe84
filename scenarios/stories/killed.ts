import { askThrough, countOf, must, type Stage, type Story } from "../story.ts";

/** Somebody is killed -9 while the sandbox runs tests; the message is taken up again and the trace ends well. */
function killedInTheMiddle(who: string, kill: (stage: Stage) => void): Story {
  return {
    name: `a ${who} killed in the middle`,
    needsSandbox: true,
    async walk(stage) {
      let kills = 0;
      const all = await askThrough(
        stage,
        { intent: "code.buildtest", workspace: { "slow.test.js": slow }, test: "echo begun; node --test" },
        {
          onEvent: ({ kind, details }) => {
            if (kind !== "buildtest_status" || details.step !== "test" || kills > 0) return; // it prints: it runs
            kills += 1;
            kill(stage);
          },
        },
      );
      must(kills === 1, `the ${who} was killed`);
      must(all.trace.answer?.verdict === "pass", `the trace ends well: ${all.trace.failure?.message}`);
      const { attempts } = all.messages.find(({ service }) => service === "buildtest") ?? { attempts: 0 };
      must(attempts === 2, `it took a second attempt, not ${attempts}`);
      must(countOf(all, "buildtest_done") === 1, "it was carried out once");
      return { saw: `attempt ${attempts} finished what the killed one began`, traces: [all.trace.trace_id] };
    },
  };
}

export const killed = killedInTheMiddle("worker", (stage) => stage.killWorker());
export const killedSandbox = killedInTheMiddle("sandbox worker", (stage) => stage.killSandbox());

const slow = `
const { test } = require("node:test");
test("takes its time", async () => {
  await new Promise((resolve) => setTimeout(resolve, 3000));
});
`;
