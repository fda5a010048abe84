import type { ChatRequest } from "../../src/contracts/chat.ts";
import { askThrough, countOf, must, type Story, textOf } from "../story.ts";

/** A project that breaks a limit, and the reason that must come of it. */
type Broken = { what: string; reason: string; request: Partial<ChatRequest> };

/** A broken limit ends the run, says why in `sandbox/error.json`, and is one dead letter after the last attempt. */
function violation({ what, reason, request }: Broken): Story {
  return {
    name: `a broken limit is named: ${what}`,
    needsSandbox: true,
    async walk(stage) {
      const counted = async () =>
        (await stage.client.summary()).sandbox.errors.find((one) => one.reason === reason)?.count ?? 0;
      const before = await counted();

      const all = await askThrough(stage, { intent: "code.buildtest", language: "shell", ...request });

      const { trace } = all;
      must(trace.failure?.code === "sandbox_violation", `the trace fails with its code, not ${trace.failure?.code}`);
      must(countOf(all, "buildtest_retry") === 1 && countOf(all, "buildtest_dead") === 1, "tried twice, then dead");
      const { artifacts } = await stage.client.artifacts({ trace_id: trace.trace_id });
      const left = artifacts.map(({ path }) => path).filter((path) => path.includes("/sandbox/"));
      must(
        artifacts.every((one) => one.class === stage.sandboxed),
        `what came of a box is labelled ${stage.sandboxed}`,
      );
      must(left.join() === `${trace.trace_id}/sandbox/error.json`, `there is one error.json: ${left.join(" ")}`);

      const error = JSON.parse(await textOf(stage, trace.trace_id, "sandbox/error.json"));
      must(error.trace_id === trace.trace_id, "error.json has the trace_id");
      must(error.reason === reason, `error.json has the reason ${reason}, not ${error.reason}`);
      must((await counted()) === before + 2, "the summary counts both attempts");
      return {
        saw: `${error.reason}: ${error.observed} of ${error.limit}, class ${error.class}`,
        traces: [trace.trace_id],
      };
    },
  };
}

/** One story for each kind of limit. */
export const violations: Story[] = [
  {
    what: "output",
    reason: "output",
    request: {
      workspace: { "flood.sh": "while :; do echo flood; done\n" },
      test: "sh flood.sh",
      limits: { size: { stdout_bytes: 200_000 } },
    },
  },
  {
    what: "time",
    reason: "time.wall",
    request: { workspace: { "wait.sh": "sleep 1000\n" }, test: "sh wait.sh", limits: { time: { wall_ms: 1000 } } },
  },
  {
    what: "size",
    reason: "disk",
    request: {
      workspace: { "fill.sh": "cat /dev/zero > fill\n" },
      test: "sh fill.sh",
      limits: { size: { disk_bytes: 4_194_304 } },
    },
  },
  {
    what: "network",
    reason: "network",
    request: {
      language: "node",
      workspace: { "call.js": 'require("node:net").connect(443, "203.0.113.7").on("error", () => {});\n' },
      test: "node call.js; sleep 5",
    },
  },
].map(violation);
