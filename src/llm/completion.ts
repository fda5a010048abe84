import { z } from "zod";
import { asFailure, Failure } from "../contracts/failure.ts";
import type { Generation } from "../contracts/model.ts";

/** A call of a tool, as the protocol writes it down. */
const Call = z.object({
  id: z.string().nullish(),
  function: z.object({ name: z.string(), arguments: z.string().nullish() }).nullish(),
});

const Choice = z.object({
  finish_reason: z.string().nullish(),
  message: z.object({
    content: z.string().nullish(),
    refusal: z.string().nullish(),
    tool_calls: z.array(Call).nullish(),
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

/** A tool that was called, with its arguments as text. */
export type Called = { id: string; name: string; args: string };

/** What an endpoint said: text, or tools that it calls. */
export type Said = { text: string; called: Called[]; model: string; tokens: Generation["tokens"] };

/** A piece of a call: its name comes with the first, its arguments bit by bit. */
const CallPiece = z.object({
  index: z.number().int().min(0).max(63).nullish(),
  id: z.string().nullish(),
  function: z.object({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
});

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
            tool_calls: z.array(CallPiece).nullish(),
          })
          .nullish(),
      }),
    )
    .nullish(),
  usage: z.unknown().optional(),
});

/** The pieces of a stream as the completion they make. Throws `model_unreachable` for a stream that ends before its end. */
export async function gather(stream: AsyncIterable<unknown>, onText: (text: string) => void): Promise<unknown> {
  let [text, refusal, model] = ["", "", ""];
  const calls = new Map<number, Called>();
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
    for (const { index, id, function: piece } of delta?.tool_calls ?? []) {
      const known = calls.get(index ?? 0) ?? { id: "", name: "", args: "" };
      calls.set(index ?? 0, {
        id: id || known.id,
        name: known.name + (piece?.name ?? ""),
        args: known.args + (piece?.arguments ?? ""),
      });
    }
    end = finish_reason ?? end;
    model = rest.model || model;
    usage = rest.usage ?? usage;
  }
  if (end === null) throw new Failure("model_unreachable", "the model's answer broke off in the middle");
  const tool_calls = [...calls.values()].map(({ id, name, args }) => ({ id, function: { name, arguments: args } }));
  return { model, choices: [{ finish_reason: end, message: { content: text, refusal, tool_calls } }], usage };
}

/** What a failed request means. */
export function failureOf(cause: unknown): Failure {
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

/**
 * Reads a completion. Throws `model_answer_invalid` for what is none, is cut off, or says nothing; `model_refused`.
 *
 * asked  the model that was asked, for endpoints that do not say which one answered
 */
export function read(answer: unknown, asked: string): Said {
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
  const called = (message.tool_calls ?? []).map(({ id, function: call }, n) => ({
    id: id || `call_${n}`,
    name: call?.name ?? "one",
    args: call?.arguments ?? "",
  }));
  if (text.trim() === "" && called.length === 0)
    throw new Failure("model_answer_invalid", "the model answered nothing");
  const { usage, model } = data;
  return {
    text,
    called,
    model: model || asked,
    tokens: usage
      ? {
          input: usage.prompt_tokens,
          output: usage.completion_tokens,
          cached: Math.min(usage.prompt_tokens, usage.prompt_tokens_details?.cached_tokens ?? 0),
        }
      : null,
  };
}
