import type { Agent, Reach } from "../contracts/agent.ts";
import { Failure } from "../contracts/failure.ts";
import type { Generation, Model, ModelSet, Toolbox } from "../contracts/model.ts";
import type { AgentAnswer, AgentAsk, Outside } from "../contracts/outside.ts";
import { askA2a } from "./a2a.ts";
import { askHttp } from "./http.ts";
import { askMcp } from "./mcp.ts";

/** What is asked of whoever writes a change: as a model is asked, and as an agent outside is. */
export type Question = {
  ask: AgentAsk;
  signal: AbortSignal;
  now: Date;
  onText?: ((text: string) => void) | undefined; // of a model that speaks word by word
  onProgress?: ((text: string) => void) | undefined; // of an agent outside that says how far it is
  toolbox?: Toolbox | undefined; // for a model that calls tools
};

/** Whoever writes a change. Null: it has taken the work and will answer later. */
export type Speaker = { name: string; speak(question: Question): Promise<Generation | null> };

/** Those who are outside may answer later, and are told where. */
export function answersLater({ kind }: Reach): boolean {
  return kind === "http";
}

/** A model as a speaker. */
export function modelSpeaker(model: Model): Speaker {
  return {
    name: model.name,
    speak: ({ ask, signal, onText, toolbox }) =>
      model.generate(ask.messages, { maxTokens: ask.max_tokens, signal, onText, toolbox }),
  };
}

/**
 * Whoever an agent is: a configured model, a model at an address of the agent's own, or an agent outside. Throws
 * `model_not_configured`, and `agent_failed` when this worker cannot reach agents outside.
 */
export function speakerOf(
  { reach, id, version }: Pick<Agent, "reach" | "id" | "version">,
  { models, outside }: { models: ModelSet; outside: Outside | undefined },
): Speaker {
  const name = `${id} ${version}`;
  if (reach.kind === "openai" && reach.base_url === null) return modelSpeaker(configured(models, reach.model));
  if (!outside) throw new Failure("agent_failed", `this worker reaches no agents outside, and ${name} is one`);
  if (reach.kind === "openai") return modelSpeaker(outside.modelAt(reach));
  if (reach.kind === "builtin")
    throw new Failure("agent_failed", `${name} is a handler of its own, and writes no change`);
  return {
    name,
    async speak(question) {
      const answer = await askOutside(reach, question, outside);
      return answer && generationOf(answer, { kind: reach.kind, name });
    },
  };
}

function askOutside(
  reach: Exclude<Reach, { kind: "builtin" | "openai" }>,
  { ask, signal, now, onProgress }: Question,
  outside: Outside,
): Promise<AgentAnswer | null> {
  if (reach.kind === "http") return askHttp(reach, ask, { outside, signal, now });
  if (reach.kind === "a2a") return askA2a(reach, ask, { outside, signal, onProgress });
  return askMcp(reach, ask, { outside, signal, onProgress });
}

/** A model of the worker's configuration. Throws `model_not_configured`. */
export function configured(models: ModelSet, name: string | null): Model {
  const model = models.get(name ?? "");
  if (model) return model;
  throw new Failure(
    "model_not_configured",
    `this worker has no model ${name ?? "assigned"}: set MODEL_BASE_URL and MODEL_NAME, or MODEL_CASSETTE`,
  );
}

/** What an agent outside answered, as if a model had said it. */
export function generationOf(answer: AgentAnswer, { kind, name }: { kind: string; name: string }): Generation {
  const { usage, model } = answer;
  return {
    text: "change" in answer ? JSON.stringify(answer.change) : answer.text,
    provider: kind,
    model: model ?? name,
    replay: false,
    tokens: usage ? { input: usage.input_tokens, output: usage.output_tokens } : null,
    costUsd: usage?.cost_usd ?? null,
  };
}
