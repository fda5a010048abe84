import { askThrough, reasonOf } from "../../../bench/code/ask.ts";
import { openGround } from "../../../bench/code/ground.ts";
import { rounded } from "../../../bench/numbers.ts";
import { exitCodes } from "../../app/child.ts";
import { readConfig } from "../../app/config.ts";
import { CodegenMetrics } from "../../contracts/code.ts";
import { json, note, paint, say } from "../output.ts";

const prompt =
  "Write median.js: an ES module that exports median(numbers), the middle of a list of numbers when it is sorted, the mean " +
  "of the two in the middle when their count is even, and null for an empty list. It must not change the list. Write " +
  "median.test.js with node:test tests of all of that, and a package.json of type module.";

/** `dagent eval live`: one wish goes through the whole system to the model that the environment names. */
export async function evalLive(options: { json?: boolean }): Promise<void> {
  const { model } = readConfig();
  if (!model.baseUrl || !model.name) {
    const not_run = "no model is configured: set MODEL_BASE_URL, MODEL_NAME and, if it asks for one, MODEL_API_KEY";
    if (options.json) json({ not_run });
    else say(`${paint("yellow", "not run")}: ${not_run}`);
    return;
  }
  const { client, close } = await openGround(null, (text) => note(paint("dim", text)));
  try {
    note(paint("dim", `asking ${model.name}`));
    const ended = await askThrough(client, { message: prompt, intent: "code.generate" });
    const file = await client.artifact(`${ended.traceId}/codegen/metrics.json`).catch(() => null);
    const metrics = file && CodegenMetrics.parse(JSON.parse(new TextDecoder().decode(file.content)));
    const report = {
      verdict: ended.answer?.verdict ?? null,
      reason: reasonOf(ended),
      model: metrics?.model ?? null,
      rounds: metrics?.round ?? null,
      tokens: metrics?.tokens_total ?? null,
      cost_usd: metrics?.cost_usd ?? null,
      seconds: rounded(ended.ms / 1000),
    };
    if (options.json) json(report);
    else {
      const { verdict, reason, rounds, tokens, cost_usd, seconds } = report;
      const well = verdict === "pass" ? paint("green", "green") : paint("red", reason ?? "red");
      const cost = cost_usd === null ? "price not known" : `${cost_usd} USD`;
      say(
        `${well}: ${report.model ?? model.name}, ${rounds ?? 0} rounds, ${tokens ?? 0} tokens, ${cost}, ${seconds} s`,
      );
    }
    process.exitCode = report.verdict === "pass" ? exitCodes.ok : exitCodes.failed;
  } finally {
    await close();
  }
}
