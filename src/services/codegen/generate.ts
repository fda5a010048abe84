import { isDeepStrictEqual } from "node:util";
import type { Handler, Tools } from "../../bus/handler.ts";
import { type Artifact, jsonArtifact, textArtifact } from "../../contracts/artifact.ts";
import { CodegenMetrics, type EditSet, GenerateRequest } from "../../contracts/code.ts";
import { Failure } from "../../contracts/failure.ts";
import type { Assignment, Message } from "../../contracts/message.ts";
import type { Model } from "../../contracts/model.ts";
import { applyEdits, patchOf } from "../../rules/edits.ts";
import { changeIn } from "./answer.ts";
import { promptFor } from "./prompt.ts";

/**
 * Lets a model write a change, or write it again after a red round.
 *
 * in     GenerateRequest: the work, and what became of the round before
 * out    CodegenMetrics; the change as artifacts codegen/{edits.json, diff.patch, summary.md, metrics.json}
 * next   buildtest.run with the change
 * fails  model_*: see llm; budget_spent: the tokens of the assignment are used up; never_green: it answered the same again
 */
export const generate: Handler<GenerateRequest, CodegenMetrics> = {
  role: "codegen.generate",
  accepts: GenerateRequest,
  answers: CodegenMetrics,

  async handle(message, tools) {
    const { work, rounds } = message.payload;
    const round = (rounds?.round ?? 0) + 1;
    const model = modelOf(message, tools);
    await tools.status(`round ${round}: asking ${model.name}`);

    const began = performance.now();
    const { text, ...said } = await model.generate(promptFor(work, rounds), {
      maxTokens: tokensLeft(message.assignment, rounds?.tokens ?? 0),
      signal: tools.signal,
    });
    const change = changeIn(text);
    const after = applyEdits(work.workspace, change.edits);
    if (rounds && isDeepStrictEqual(change.edits, rounds.change.edits)) {
      throw new Failure("never_green", `round ${round} brought the same edits again`, {
        rounds: round,
        log: rounds.log,
      });
    }

    const metrics: CodegenMetrics = {
      round,
      provider: said.provider,
      model: said.model,
      replay: said.replay,
      tokens: said.tokens,
      tokens_total: (rounds?.tokens ?? 0) + (said.tokens ? said.tokens.input + said.tokens.output : 0),
      cost_usd: null, // prices come with the registry's price table
      took_ms: performance.now() - began,
    };
    for (const file of filesOf({ change, patch: patchOf(work.workspace, after), metrics })) await tools.keep(file);
    return { result: metrics, next: [{ to: "buildtest.run", payload: { work, written: { change, metrics } } }] };
  },
};

function modelOf({ assignment }: Message, { models }: Tools): Model {
  const model = models.get(assignment?.model ?? "");
  if (model) return model;
  throw new Failure(
    "model_not_configured",
    `this worker has no model ${assignment?.model ?? "assigned"}: set MODEL_BASE_URL and MODEL_NAME, or MODEL_CASSETTE`,
  );
}

function tokensLeft(assignment: Assignment | null, used: number): number | null {
  const most = assignment?.budget.max_tokens ?? null;
  if (most === null) return null;
  if (used < most) return most - used;
  throw new Failure("budget_spent", `${used} of ${most} tokens are used up`, { used, max_tokens: most });
}

type Round = { change: EditSet; patch: string; metrics: CodegenMetrics };

/** The files of a round: in their place, where the latest round is found, and kept under its number. */
function filesOf({ change, patch, metrics }: Round): Artifact[] {
  const summary = `${change.summary}\n\nRound ${metrics.round}, ${metrics.replay ? "replayed from a recording of" : "written by"} ${metrics.model}.\n`;
  return ["", `rounds/${metrics.round}/`].flatMap((folder) => [
    jsonArtifact("codegen", `${folder}edits.json`, "codegen.edits/1", change),
    textArtifact("codegen", `${folder}diff.patch`, patch),
    textArtifact("codegen", `${folder}summary.md`, summary),
    jsonArtifact("codegen", `${folder}metrics.json`, "codegen.metrics/1", metrics),
  ]);
}
