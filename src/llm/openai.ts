import type OpenAI from "openai";
import { Failure } from "../contracts/failure.ts";
import type { Asking, Generation, Model, Prompt, Toolbox } from "../contracts/model.ts";
import { type Called, failureOf, gather, read, type Said } from "./completion.ts";

export type OpenaiOptions = {
  name: string; // how agents call it
  baseUrl: string; // of an OpenAI-compatible endpoint, with its /v1
  model: string; // how the endpoint calls it
  apiKey: string | null;
  timeoutMs: number; // for the whole answer, from the question to its last byte
  fetch?: typeof fetch; // the one of Node unless given
  streams?: boolean; // false: its answers come in one piece, whoever listens
  tools?: boolean; // true: it can call tools, and is offered those of a question
};

/** How often a model may call tools before it must have answered. */
const mostTurns = 12;

/**
 * A model behind an OpenAI-compatible URL. The client library is loaded with the first question.
 *
 * With `onText` the answer is asked for as a stream, and heard while it comes. With `tools` it is offered the toolbox of
 * the question: what it calls is answered until it calls the answer, or says it in text.
 *
 * Throws `model_unreachable` (no answer, a time-out, a broken one, 5xx), `model_busy` (429, with what Retry-After asked
 * for), `model_answer_invalid` (empty, cut off, not what the protocol says, a tool that was not offered, tools without
 * end), `model_refused` (a refusal, any other 4xx).
 */
export function openaiModel(options: OpenaiOptions): Model {
  const { name, baseUrl, model, apiKey, timeoutMs, fetch, streams = true, tools = false } = options;
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
    async generate(prompt, { maxTokens, signal, onText, toolbox }) {
      client ??= open();
      const asked = { model, maxTokens, signal, late: AbortSignal.timeout(timeoutMs), timeoutMs };
      const listener = streams ? onText : undefined;
      return converse(await client, prompt, { ...asked, onText: listener, toolbox: tools ? toolbox : undefined });
    },
  };
}

type Question = Asking & {
  model: string;
  late: AbortSignal; // the client's own time-out ends with the headers, not with the body
  timeoutMs: number;
};
type Messages = OpenAI.Chat.ChatCompletionMessageParam[];

/** Asks until there is an answer: what the model calls in between is answered, and its tokens are summed. */
async function converse(client: OpenAI, prompt: Prompt, question: Question): Promise<Generation> {
  const { toolbox, model, maxTokens } = question;
  const messages: Messages = [...prompt];
  let tokens: Generation["tokens"] = { input: 0, output: 0, cached: 0 };
  for (let turn = 0; turn < mostTurns; turn += 1) {
    const left = maxTokens === null ? null : maxTokens - (tokens?.output ?? 0);
    if (left !== null && left < 1) throw new Failure("model_answer_invalid", "the tools took all of its tokens");
    const said = read(await ask(client, messages, { ...question, maxTokens: left }), model);
    tokens = sum(tokens, said.tokens);
    const answer = said.called.find(({ name }) => name === toolbox?.answer.name);
    const text = answer ? answer.args : said.text;
    if (answer || said.called.length === 0)
      return { text, provider: "openai-compatible", model: said.model, replay: false, tokens };
    if (!toolbox) return without(said, tokens);
    messages.push(...(await answered(said, toolbox)));
  }
  throw new Failure("model_answer_invalid", `the model called tools ${mostTurns} times and did not answer`);
}

/** What somebody says who calls a tool though none was offered: his text counts, if there is one. */
function without({ text, called, model }: Said, tokens: Generation["tokens"]): Generation {
  if (text.trim() !== "") return { text, provider: "openai-compatible", model, replay: false, tokens };
  throw new Failure("model_answer_invalid", `the model asked for a tool (${called[0]?.name}), and none was offered`);
}

/** The turn of the model, and what its tools say. */
async function answered({ text, called }: Said, { more }: Toolbox): Promise<Messages> {
  const tool_calls = called.map(({ id, name, args }) => ({
    id,
    type: "function" as const,
    function: { name, arguments: args },
  }));
  const results = await Promise.all(
    called.map(async ({ id, name, args }: Called) => {
      const tool = more.find((one) => one.name === name);
      const content = tool ? await tool.use(json(args)) : `There is no tool ${name}.`;
      return { role: "tool" as const, tool_call_id: id, content };
    }),
  );
  return [{ role: "assistant", content: text, tool_calls }, ...results];
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function sum(a: Generation["tokens"], b: Generation["tokens"]): Generation["tokens"] {
  if (!a || !b) return null; // of one turn nobody said
  return { input: a.input + b.input, output: a.output + b.output, cached: (a.cached ?? 0) + (b.cached ?? 0) };
}

async function ask(
  client: OpenAI,
  messages: Messages,
  { model, maxTokens, signal, late, timeoutMs, onText, toolbox }: Question,
): Promise<unknown> {
  const limit = maxTokens === null ? {} : { max_tokens: maxTokens };
  const offered = toolbox && {
    tools: [toolbox.answer, ...toolbox.more].map(({ name, about, parameters }) => ({
      type: "function" as const,
      function: { name, description: about, parameters },
    })),
  };
  const question = { model, messages, ...limit, ...offered };
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
