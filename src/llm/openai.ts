import type OpenAI from "openai";
import { z } from "zod";
import { asFailure, Failure } from "../contracts/failure.ts";
import type { Asking, Generation, Model, Prompt } from "../contracts/model.ts";

export type OpenaiOptions = {
  name: string; // how agents call it
  baseUrl: string; // of an OpenAI-compatible endpoint, with its /v1
  model: string; // how the endpoint calls it
  apiKey: string | null;
  timeoutMs: number; // for the whole answer, from the question to its last byte
  fetch?: typeof fetch; // the one of Node unless given
  streams?: boolean; // false: its answers come in one piece, whoever listens
};

const Choice = z.object({
  finish_reason: z.string().nullish(),
  message: z.object({
    content: z.string().nullish(),
    refusal: z.string().nullish(),
    tool_calls: z.array(z.object({ function: z.object({ name: z.string() }).nullish() })).nullish(),
  }),
});

/** What we need of a chat completion; endpoints differ in what else they send. */
const Completion = z.object({
  model: z.string().nullish(),
  choices: z.tuple([Choice], z.unknown()),
  usage: z
    .object({
      prompt_tokens: z.number().int().nonnegative(),
      completion_tokens: z.number().int().nonnegative(),
      prompt_tokens_details: z
        .object({ cached_tokens: z.number().int().nonnegative().nullish() })
        .nullish()
        .catch(null),
    })
    .nullish()
    .catch(null), // an endpoint that counts in its own way has not said how many
});

/**
 * A model behind an OpenAI-compatible URL. The client library is loaded with the first question.
 *
 * With `onText` the answer is asked for as a stream, and heard while it comes.
 *
 * Throws `model_unreachable` (no answer, a time-out, a broken one, 5xx), `model_busy` (429, with what Retry-After asked
 * for), `model_answer_invalid` (empty, cut off, not what the protocol says), `model_refused` (a refusal, any other 4xx).
 */
export function openaiModel({ name, baseUrl, model, apiKey, timeoutMs, fetch, streams = true }: OpenaiOptions): Model {
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
    async generate(prompt, { maxTokens, signal, onText }) {
      client ??= open();
      const answer = await ask(await client, {
        model,
        prompt,
        maxTokens,
        signal,
        timeoutMs,
        onText: streams ? onText : undefined,
      });
      return read(answer, model);
    },
  };
}

type Question = Asking & { model: string; prompt: Prompt; timeoutMs: number };

async function ask(
  client: OpenAI,
  { model, prompt, maxTokens, signal, timeoutMs, onText }: Question,
): Promise<unknown> {
  const late = AbortSignal.timeout(timeoutMs); // the client's own ends with the headers, not with the body
  const limit = maxTokens === null ? {} : { max_tokens: maxTokens };
  const question = { model, messages: prompt, ...limit };
  const options = { signal: AbortSignal.any([signal, late]) };
  try {
    if (!onText) return await client.chat.completions.create(question, options);
    const stream = await client.chat.completions.create(
      { ...question, stream: true, stream_options: { include_usage: true } },
      options,
    );
    return await gather(stream, onText);
  } catch (cause) {
    signal.throwIfAborted();
    if (late.aborted) throw new Failure("model_unreachable", `no answer within ${timeoutMs} ms`, { cause });
    if (cause instanceof Error && cause.cause instanceof Failure) throw cause.cause; // the address is forbidden
    throw failureOf(cause);
  }
}

const Chunk = z.object({
  model: z.string().nullish(),
  choices: z
    .array(
      z.object({
        finish_reason: z.string().nullish(),
        delta: z
          .object({
            content: z.string().nullish(),
            refusal: z.string().nullish(),
            tool_calls: z.array(z.unknown()).nullish(),
          })
          .nullish(),
      }),
    )
    .nullish(),
  usage: z.unknown().optional(),
});

/** The pieces of a stream as the completion they make. Throws `model_unreachable` for a stream that ends before its end. */
async function gather(stream: AsyncIterable<unknown>, onText: (text: string) => void): Promise<unknown> {
  let [text, refusal, model, tools] = ["", "", "", false];
  let end: string | null = null;
  let usage: unknown = null;
  for await (const piece of stream) {
    const chunk = Chunk.safeParse(piece);
    if (!chunk.success)
      throw new Failure("model_answer_invalid", "the endpoint's stream is not one of a chat completion");
    const { choices, ...rest } = chunk.data;
    const { delta, finish_reason } = choices?.[0] ?? {};
    if (delta?.content) {
      text += delta.content;
      onText(delta.content);
    }
    refusal += delta?.refusal ?? "";
    tools ||= (delta?.tool_calls ?? []).length > 0;
    end = finish_reason ?? end;
    model = rest.model || model;
    usage = rest.usage ?? usage;
  }
  if (end === null) throw new Failure("model_unreachable", "the model's answer broke off in the middle");
  const tool_calls = tools ? [{ function: null }] : null;
  return { model, choices: [{ finish_reason: end, message: { content: text, refusal, tool_calls } }], usage };
}

function failureOf(cause: unknown): Failure {
  if (cause instanceof Failure) return cause;
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
  if (text.trim() === "" && message.tool_calls?.length) {
    const asked = message.tool_calls[0]?.function?.name ?? "one";
    throw new Failure("model_answer_invalid", `the model asked for a tool (${asked}), and none was offered`);
  }
  if (text.trim() === "") throw new Failure("model_answer_invalid", "the model answered nothing");
  const { usage, model } = data;
  return {
    text,
    provider: "openai-compatible",
    model: model || asked,
    replay: false,
    tokens: usage
      ? {
          input: usage.prompt_tokens,
          output: usage.completion_tokens,
          cached: Math.min(usage.prompt_tokens, usage.prompt_tokens_details?.cached_tokens ?? 0),
        }
      : null,
  };
}
