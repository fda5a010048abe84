import type { Handler } from "../../bus/handler.ts";
import { type Artifact, jsonArtifact, textArtifact } from "../../contracts/artifact.ts";
import type { Figure } from "../../contracts/budget.ts";
import { CodegenMetrics, type EditSet, GenerateRequest, type Rounds } from "../../contracts/code.ts";
import { asFailure, Failure } from "../../contracts/failure.ts";
import type { Generation } from "../../contracts/model.ts";
import { Usage } from "../../contracts/outside.ts";
import type { PricePolicy } from "../../contracts/policy.ts";
import { citedIn } from "../../rules/cite.ts";
import { fingerprintOf, patchOf } from "../../rules/edits.ts";
import { fallbackFor } from "../../rules/fallback.ts";
import { costOf, priceFor } from "../../rules/price.ts";
import { editTree, treeOf } from "../../rules/tree.ts";
import { changeIn } from "./answer.ts";
import { refuseOverspent, tokensLeft } from "./budget.ts";
import { hear, writerOf } from "./hear.ts";
import { keyBefore } from "./later.ts";

/**
 * Lets a model write a change, or write it again after a red round.
 *
 * in     GenerateRequest: the work, and what became of the rounds before
 * out    CodegenMetrics; the change as artifacts codegen/{edits.json, diff.patch, summary.md, metrics.json}; of a repair,
 *        rounds/<n>/red.log: what was told of the round before
 * next   buildtest.run with the change
 * waits  for an agent that has taken the work and answers later
 * fails  model_*: see llm; agent_*: see agents; agent_silent: it has not answered in time; budget_spent: more tokens than assigned; budget_exhausted: no cap of
 *        the tenant or the request has room for the call; never_green: the model came back to a red change
 */
export const generate: Handler<GenerateRequest, CodegenMetrics> = {
  role: "codegen.generate",
  accepts: GenerateRequest,
  answers: CodegenMetrics,
  onDead: fallbackFor,

  async handle(message, tools) {
    const { work, rounds } = message.payload;
    const round = (rounds?.round ?? 0) + 1;
    const writer = await writerOf(message, tools);
    const { name } = writer.speaker;
    const prices = tools.prices?.();
    const price = prices ? priceFor(prices, name) : null;
    const used = { tokens: rounds?.tokens ?? 0, costUsd: rounds ? (rounds.cost_usd ?? null) : 0 };
    const maxTokens = tokensLeft(message.assignment, used, price);
    const did = message.payload.answered ? `${name} has answered` : `asking ${name}`;
    await tools.status(`round ${round} of ${work.max_rounds}: ${did}`, { round, model: name });

    const tree = await treeOf(work, tools.upload);
    const mostUsd = price && maxTokens !== null ? costOf(price, { input: 0, output: maxTokens }) : null;
    const most = await tools.reserve({ cost_usd: mostUsd, tokens: maxTokens, seconds: null });
    const began = performance.now();
    const heard = await hear(message, writer, { tools, tree, maxTokens: most.tokens }).catch((thrown) => {
      const figure = figureOfNone(thrown, performance.now() - began);
      if (figure) tools.spend(figure);
      throw thrown;
    });
    const took = { round, rounds, tookMs: performance.now() - began };
    if (!heard.said) return { result: metricsOf(taken(heard.by), { ...took, waits: true }), wait: heard.wait };
    const { said } = heard;
    const metrics = metricsOf({ ...said, costUsd: costOfAnswer(said, prices) }, took);
    tools.spend(figureOf(said, metrics));

    const change = changeOf(said);
    const { before, after } = await editTree(tree, change.edits);
    const patch = patchOf(before, after);
    await Promise.all(filesOf({ change, patch, metrics, work, rounds }).map(tools.keep));
    refuseOverspent(message.assignment, {
      tokens: metrics.tokens_total,
      costUsd: metrics.cost_total_usd ?? null,
    });
    const seen = unseen(patch, round, rounds);
    const key = keyBefore(message.idempotencyKey);
    return {
      result: metrics,
      next: [{ to: "buildtest.run", payload: { work, written: { change, metrics, seen } }, key }],
    };
  },
};

/** The change that was said. A recording says the same at every attempt, so one is enough. */
function changeOf({ text, replay }: Generation): EditSet {
  try {
    return changeIn(text);
  } catch (thrown) {
    const { code, message, details, cause } = asFailure(thrown);
    throw replay ? new Failure(code, message, { ...details, cause, max_attempts: 1 }) : thrown;
  }
}

/** What an answer did cost: what the provider says, else by the price of the model that answered. Null: nobody knows. */
function costOfAnswer({ costUsd, replay, model, tokens }: Generation, prices: PricePolicy | undefined): number | null {
  if (typeof costUsd === "number") return costUsd;
  const price = replay || !prices ? null : priceFor(prices, model);
  return price && tokens && costOf(price, tokens);
}

/** What the call did cost. A recording costs nothing but its tokens, which are counted as if it were live. */
function figureOf({ tokens, replay }: Generation, { cost_usd, took_ms }: CodegenMetrics): Figure {
  return {
    cost_usd: replay ? 0 : cost_usd,
    tokens: tokens && tokens.input + tokens.output,
    seconds: took_ms / 1000,
  };
}

/** What an answer that is none did cost, as far as it says so; null: it says nothing. */
function figureOfNone(thrown: unknown, tookMs: number): Figure | null {
  const usage = Usage.safeParse(asFailure(thrown).details.usage).data;
  if (!usage) return null;
  const { input_tokens, output_tokens, cost_usd } = usage;
  return { cost_usd, tokens: input_tokens + output_tokens, seconds: tookMs / 1000 };
}

type Asked = { round: number; rounds: Rounds | null; tookMs: number; waits?: boolean };

/** Nothing was said yet. */
function taken(by: string): Generation {
  return { text: "", provider: by, model: by, replay: false, tokens: null };
}

function metricsOf(
  { provider, model, replay, tokens, costUsd = null }: Generation,
  { round, rounds, tookMs, waits }: Asked,
): CodegenMetrics {
  return {
    round,
    provider,
    model,
    replay,
    tokens,
    tokens_total: (rounds?.tokens ?? 0) + (tokens ? tokens.input + tokens.output : 0),
    cost_usd: costUsd,
    cost_total_usd: costUsd === null || (rounds && rounds.cost_usd == null) ? null : costUsd + (rounds?.cost_usd ?? 0),
    took_ms: Math.round(tookMs),
    ...(waits && { waits }),
  };
}

/** The fingerprints with this change's among them. Throws `never_green` when it was tried before. */
function unseen(patch: string, round: number, rounds: Rounds | null): string[] {
  const fingerprint = fingerprintOf(patch);
  const seen = rounds?.seen ?? [];
  const before = seen.indexOf(fingerprint) + 1;
  if (before === 0) return [...seen, fingerprint];
  throw new Failure("never_green", `round ${round} brought the same edits as round ${before}, which were red`, {
    rounds: round,
    failing: rounds?.failing ?? [],
    log: rounds?.log ?? "",
  });
}

type Round = { change: EditSet; patch: string; metrics: CodegenMetrics } & Pick<GenerateRequest, "work" | "rounds">;

/**
 * The files of a round: in their place, where the latest round is found, and kept under its number; there too, what it was
 * told of the red round before.
 */
function filesOf({ change, patch, metrics, work, rounds }: Round): Artifact[] {
  const { round, model, replay } = metrics;
  const by = replay ? `replayed from a recording (${model})` : `written by ${model}`;
  const { text, citations } = citedIn(change.summary, work.grounding);
  const sources = citations.map(
    ({ title, section, document_id }, n) => `[${n + 1}] ${title}, ${section} (${document_id})`,
  );
  const told = sources.length > 0 ? `\n\nSources:\n\n${sources.join("\n")}` : "";
  const summary = `${text}${told}\n\nRound ${round}, ${by}.\n`;
  const red = rounds ? [textArtifact("codegen", `rounds/${round}/red.log`, rounds.log)] : [];
  const files = ["", `rounds/${round}/`].flatMap((folder) => [
    jsonArtifact("codegen", `${folder}edits.json`, "codegen.edits/1", change),
    textArtifact("codegen", `${folder}diff.patch`, patch),
    textArtifact("codegen", `${folder}summary.md`, summary),
    jsonArtifact("codegen", `${folder}metrics.json`, "codegen.metrics/1", metrics),
  ]);
  return [...files, ...red];
}
