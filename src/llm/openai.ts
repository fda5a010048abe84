import type OpenAI from "openai";
import { z } from "zod";
import { asFailure, Failure } from "../contracts/failure.ts";
import type { Generation, Model, Prompt } from "../contracts/model.ts";

export type OpenaiOptions = {
  name: string; // how agents call it
  baseUrl: string; // of an OpenAI-compatible endpoint, with its /v1
  model: string; // how the endpoint calls it
  apiKey: string | null;
  timeoutMs: number; // for the whole answer, from the question to its last byte
  fetch?: typeof fetch; // the one of Node unless given
};

const Choice = z.object({
  finish_reason: z.string().nullish(),
  message: z.object({ content: z.string().nullish(), refusal: z.string().nullish() }),
});

/** What we need of a chat completion; endpoints differ in what else they send. */
const Completion = z.object({
  model: z.string().nullish(),
  choices: z.tuple([Choice], z.unknown()),
  usage: z
    .object({ prompt_tokens: z.number().int().nonnegative(), completion_tokens: z.number().int().nonnegative() })
    .nullish()
    .catch(null), // an endpoint that counts in its own way has not said how many
});

/**
 * A model behind an OpenAI-compatible URL. The client library is loaded with the first question.
 *
 * Throws `model_unreachable` (no answer, a time-out, a broken one, 5xx), `model_busy` (429, with what Retry-After asked
 * for), `model_answer_invalid` (empty, cut off, not what the protocol says), `model_refused` (a refusal, any other 4xx).
 */
export function openaiModel({ name, baseUrl, model, apiKey, timeoutMs, fetch }: OpenaiOptions): Model {
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
      ...(fetch && { fetch }),
    });
  };

  return {
    name,
    provider: "openai-compatible",
    async generate(prompt, { maxTokens, signal }) {
      client ??= open();
      const answer = await ask(await client, { model, prompt, maxTokens, signal, timeoutMs });
      return read(answer, model);
    },
  };
}

type Question = { model: string; prompt: Prompt; maxTokens: number | null; signal: AbortSignal; timeoutMs: number };

async function ask(client: OpenAI, { model, prompt, maxTokens, signal, timeoutMs }: Question): Promise<unknown> {
  const late = AbortSignal.timeout(timeoutMs); // the client's own ends with the headers, not with the body
  const limit = maxTokens === null ? {} : { max_tokens: maxTokens };
  try {
    return await client.chat.completions.create(
      { model, messages: prompt, ...limit },
      { signal: AbortSignal.any([signal, late]) },
    );
  } catch (cause) {
    signal.throwIfAborted();
    if (late.aborted) throw new Failure("model_unreachable", `no answer within ${timeoutMs} ms`, { cause });
    if (cause instanceof Error && cause.cause instanceof Failure) throw cause.cause; // the address is forbidden
    throw failureOf(cause);
  }
}

function failureOf(cause: unknown): Failure {
  const status = cause instanceof Error && "status" in cause ? Number(cause.status) : Number.NaN;
  const reason = asFailure(cause).message;
  if (cause instanceof SyntaxError) {
    return new Failure("model_answer_invalid", `the endpoint's answer is not JSON: ${reason}`, { cause });
  }
  if (status === 429) {
    const retry_after_ms = retryAfterMs(cause);
    const asked = retry_after_ms === null ? {} : { retry_after_ms };
    return new Failure("model_busy", `the model is busy: ${reason}`, { cause, ...asked });
  }
  if (status >= 400 && status < 500 && status !== 408) {
    const refused = `the model's endpoint refused the request (${status}): ${reason}`;
    return new Failure("model_refused", refused, { cause, status });
  }
  return new Failure("model_unreachable", `the model did not answer: ${reason}`, { cause });
}

/** What `Retry-After` asks for, in ms: seconds, or a date, which is measured from the endpoint's own. */
function retryAfterMs(cause: unknown): number | null {
  const headers = cause instanceof Error && "headers" in cause ? cause.headers : null;
  if (!(headers instanceof Headers)) return null;
  const asked = headers.get("retry-after") ?? "";
  const ms = /^\d+(\.\d+)?$/.test(asked)
    ? Number(asked) * 1000
    : Date.parse(asked) - Date.parse(headers.get("date") ?? "");
  return Number.isFinite(ms) ? Math.max(0, Math.round(ms)) : null;
}

function read(answer: unknown, asked: string): Generation {
  const { data, error } = Completion.safeParse(answer);
  if (!data) {
    throw new Failure(
      "model_answer_invalid",
      `the endpoint did not answer with a chat completion: ${z.prettifyError(error)}`,
    );
  }
  const [{ message, finish_reason }] = data.choices;
  if (message.refusal) throw new Failure("model_refused", `the model refused: ${message.refusal}`);
  if (finish_reason === "content_filter") throw new Failure("model_refused", "a content filter ended the answer");
  if (finish_reason === "length") {
    throw new Failure("model_answer_invalid", "the answer was cut off at its token limit");
  }
  const text = message.content ?? "";
  if (text.trim() === "") throw new Failure("model_answer_invalid", "the model answered nothing");
  const { usage, model } = data;
  return {
    text,
    provider: "openai-compatible",
    model: model || asked,
    replay: false,
    tokens: usage ? { input: usage.prompt_tokens, output: usage.completion_tokens } : null,
  };
}
