import { readFile } from "node:fs/promises";
import { z } from "zod";
import { OrchestratorPolicy, RuleChange } from "../../contracts/choice.ts";
import { Failure } from "../../contracts/failure.ts";
import { type WhatIf, WhatIfRequest } from "../../contracts/orchestrator.ts";
import { checked } from "../agent.ts";
import { json, note, paint, say, table } from "../output.ts";
import { openSystem } from "../system.ts";

type Options = {
  json?: boolean;
  weights?: string;
  without?: string;
  window?: string;
  tenant?: string;
  intent?: string;
  limit?: string;
};

/** `dagent what-if`: makes the recorded decisions again with other weights, or without somebody. */
export async function whatIf(options: Options): Promise<void> {
  const { weights, without, window, tenant, intent, limit } = options;
  const request = checked(WhatIfRequest, {
    ...(weights !== undefined && (await ruleIn(weights))),
    ...(without !== undefined && { without: without.split(",").map((id) => id.trim()) }),
    ...(window !== undefined && { window_s: Number(window) }),
    ...(limit !== undefined && { limit: Number(limit) }),
    ...(tenant !== undefined && { tenant }),
    ...(intent !== undefined && { intent }),
  });
  const client = await openSystem();
  if (!options.json) note(paint("dim", "making the recorded decisions again …"));
  const answer = await client.whatIf(request);
  if (options.json) json(answer);
  else say(told(answer));
}

const Loose = z.record(z.string(), z.unknown());

/** What a file asks for: a whole configs/orchestrator.json, a part of its `default`, or weights alone. */
async function ruleIn(file: string): Promise<{ policy: OrchestratorPolicy } | { rule: RuleChange }> {
  const text = await readFile(file === "-" ? "/dev/stdin" : file, "utf8").catch((cause) => {
    throw new Failure("invalid_request", `${file} cannot be read: ${cause.message}`, { cause });
  });
  const body = checked(Loose, parsed(text, file));
  if ("default" in body) return { policy: checked(OrchestratorPolicy, body) };
  const known = Object.keys(body).some((field) => field in RuleChange.shape);
  return { rule: checked(RuleChange, known ? body : { weights: body }) };
}

function parsed(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Failure("invalid_request", `${file} is not JSON: ${cause instanceof Error ? cause.message : cause}`);
  }
}

function told({ decisions, counted, changed, nobody, success, by_agent, examples }: WhatIf): string {
  if (decisions === 0) return "nothing was decided in that window: see --window, or ask something first";
  const percent = (value: number | null) => (value === null ? "not known" : `${(100 * value).toFixed(1)} %`);
  const estimate = (one: WhatIf["success"]["doubly_robust"]) =>
    one === null
      ? "not known: nothing recorded speaks for it"
      : `${percent(one.value)}  (95 %: ${percent(one.low)} to ${percent(one.high)}; ${one.effective_calls.toFixed(0)} decisions speak for it)`;
  return [
    `${decisions} decisions made again: ${changed} would have chosen another, ${nobody} would have found nobody`,
    "",
    table([
      ["success as it was", `${percent(success.recorded)} of ${counted} ends`],
      ["as it would have been, doubly robust", estimate(success.doubly_robust)],
      ["as it would have been, inverse propensity", estimate(success.inverse_propensity)],
    ]),
    "",
    table([
      ["agent", "chosen", "would be"].map((head) => paint("dim", head)),
      ...by_agent.map((one) => [`${one.agent_id} ${one.agent_version}`, String(one.chosen), String(one.would)]),
    ]),
    ...(examples.length > 0 ? ["", paint("dim", "for example (dagent explain says more)")] : []),
    ...examples.slice(0, 5).map(({ trace_id, chosen, would, because }) => {
      const then = would ? because : "nobody";
      return `  ${trace_id}  ${chosen.agent_id} ${chosen.agent_version} → ${then}`;
    }),
  ].join("\n");
}
