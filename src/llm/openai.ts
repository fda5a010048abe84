import type OpenAI from "openai";
import { asFailure, Failure } from "../contracts/failure.ts";
import type { Generation, Model, Prompt } from "../contracts/model.ts";

export type OpenaiOptions = {
  name: string; // how agents call it
  baseUrl: string; // of an OpenAI-compatible endpoint, with its /v1
  model: string; // how the endpoint calls it
  apiKey: string | null;
  timeoutMs: number;
};

/**
 * A model behind an OpenAI-compatible URL. The client library is loaded with the first question.
 *
 * Throws `model_unreachable` (no answer, a time-out, 5xx), `model_busy` (429, with what Retry-After asked for),
 * `model_answer_invalid` (empty, cut off, not what the protocol says), `model_refused` (a refusal, 401, 403, 4xx).
 */
export function openaiModel({ name, baseUrl, model, apiKey, timeoutMs }: OpenaiOptions): Model {
  let client: Promise<OpenAI> | null = null;
  const open = async () => {
    const { OpenAI } = await import("openai");
    // The bus retries, with a policy and an event; a second retry inside would hide attempts. Keys are not always asked for.
    return new OpenAI({
      baseURL: baseUrl,
      apiKey: apiKey ?? "none",
      maxRetries: 0,
      timeout: timeoutMs,
      logLevel: "off",
    });
  };

  return {
    name,
    provider: "openai-compatible",
    async generate(prompt, { maxTokens, signal }) {
      client ??= open();
      const answer = await ask(await client, { model, prompt, maxTokens, signal });
      return read(answer, model);
    },
  };
}

type Question = { model: string; prompt: Prompt; maxTokens: number | null; signal: AbortSignal };

async function ask(client: OpenAI, { model, prompt, maxTokens, signal }: Question): Promise<OpenAI.ChatCompletion> {
  try {
    const limit = maxTokens === null ? {} : { max_tokens: maxTokens };
    return await client.chat.completions.create({ model, messages: prompt, ...limit }, { signal });
  } catch (cause) {
    signal.throwIfAborted();
    throw failureOf(cause);
  }
}

function failureOf(cause: unknown): Failure {
  const status = cause instanceof Error && "status" in cause ? Number(cause.status) : Number.NaN;
  const reason = asFailure(cause).message;
  if (status === 429) {
    const retry_after_ms = retryAfterMs(cause);
    return new Failure(
      "model_busy",
      `the model is busy: ${reason}`,
      retry_after_ms === null ? { cause } : { cause, retry_after_ms },
    );
  }
  if (status >= 400 && status < 500 && status !== 408) {
    return new Failure("model_refused", `the model's endpoint refused the request (${status}): ${reason}`, {
      cause,
      status,
    });
  }
  return new Failure("model_unreachable", `the model did not answer: ${reason}`, { cause });
}

/** What `Retry-After` asks for, in ms, when it is given in seconds. */
function retryAfterMs(cause: unknown): number | null {
  const headers = cause instanceof Error && "headers" in cause ? cause.headers : null;
  const seconds = headers instanceof Headers ? Number(headers.get("retry-after") ?? Number.NaN) : Number.NaN;
  return Number.isFinite(seconds) && seconds >= 0 ? Math.round(seconds * 1000) : null;
}

function read(answer: OpenAI.ChatCompletion, asked: string): Generation {
  const choice = answer.choices?.[0];
  if (!choice?.message) throw new Failure("model_answer_invalid", "the endpoint answered without a choice");
  if (choice.message.refusal) throw new Failure("model_refused", `the model refused: ${choice.message.refusal}`);
  if (choice.finish_reason === "content_filter")
    throw new Failure("model_refused", "a content filter ended the answer");
  const text = choice.message.content ?? "";
  if (choice.finish_reason === "length")
    throw new Failure("model_answer_invalid", "the answer was cut off at its token limit");
  if (text.trim() === "") throw new Failure("model_answer_invalid", "the model answered nothing");
  const { usage } = answer;
  return {
    text,
    provider: "openai-compatible",
    model: answer.model || asked,
    replay: false,
    tokens: usage ? { input: usage.prompt_tokens, output: usage.completion_tokens } : null,
  };
}
