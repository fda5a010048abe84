import { asFailure, Failure } from "../contracts/failure.ts";
import type { AgentAsk, Outside } from "../contracts/outside.ts";

/** The longest answer that is read, in bytes. */
export const answerMost = 2_097_152;

/**
 * `fetch` for the client library of a protocol: gives up with `signal`, reads no more than an answer may have, and shows
 * the token to the origin that was registered alone, whatever address the agent names later.
 */
export function doorTo(
  url: string,
  { outside, token, under }: { outside: Outside; token: string | null; under: Under },
): typeof fetch {
  const { origin } = new URL(url);
  const secret = token && outside.secretOf(token);
  return async (input, init) => {
    const to = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : {}));
    if (secret && to.origin === origin) headers.set("authorization", `Bearer ${secret}`);
    const limit = AbortSignal.any([under.signal, ...(init?.signal ? [init.signal] : [])]);
    const answer = await outside.fetch(input, { ...init, headers, signal: limit });
    if (!answer.body) return answer;
    const { status, statusText } = answer;
    return new Response(answer.body.pipeThrough(counted(under)), { status, statusText, headers: answer.headers });
  };
}

function counted({ halt }: Under): TransformStream<Uint8Array, Uint8Array> {
  let bytes = 0;
  return new TransformStream({
    transform(piece, out) {
      bytes += piece.length;
      if (bytes <= answerMost) return out.enqueue(piece);
      const failure = new Failure("agent_answer_invalid", `the agent's answer is longer than ${answerMost} bytes`);
      halt(failure);
      out.error(failure);
    },
  });
}

/** What an agent is asked with. */
export type Hearing = { outside: Outside; signal: AbortSignal; onProgress?: ((text: string) => void) | undefined };

/** What a call is made under: when to give up, and how to end it with a failure whatever the library makes of it. */
export type Under = { signal: AbortSignal; halt: (failure: Failure) => void };

/** Calls an agent with the time it has. What a library throws becomes a failure of ours. */
export async function calling<Result>(
  { timeout_ms }: AgentAsk,
  signal: AbortSignal,
  call: (under: Under) => Promise<Result>,
): Promise<Result> {
  const late = AbortSignal.timeout(timeout_ms);
  const halted = new AbortController();
  const limit = AbortSignal.any([signal, late, halted.signal]);
  try {
    return await call({ signal: limit, halt: (failure) => halted.abort(failure) });
  } catch (thrown) {
    signal.throwIfAborted();
    halted.signal.throwIfAborted();
    for (let one: unknown = thrown; one instanceof Error; one = one.cause) if (one instanceof Failure) throw one;
    if (late.aborted) throw new Failure("agent_unreachable", `no answer within ${timeout_ms} ms`, { cause: thrown });
    const reason = reasonOf(thrown);
    if (isNetwork(thrown))
      throw new Failure("agent_unreachable", `the agent did not answer: ${reason}`, { cause: thrown });
    throw new Failure("agent_failed", `the agent answered with an error: ${reason}`, { cause: thrown });
  } finally {
    halted.abort(); // what is still being read of it is read in vain
  }
}

/** The innermost reason: `fetch failed` alone says nothing. */
export function reasonOf(thrown: unknown): string {
  const inner = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  return asFailure(inner).message.slice(0, 500);
}

function isNetwork(thrown: unknown): boolean {
  for (let one: unknown = thrown; one instanceof Error; one = one.cause) {
    if (one instanceof TypeError && /fetch failed|terminated/.test(one.message)) return true;
    if ("code" in one && typeof one.code === "string" && /^(ECONN|ENOTFOUND|EAI_|UND_ERR|EPIPE)/.test(one.code))
      return true;
  }
  return false;
}

/** What is asked, as one text, for protocols whose agents read text. */
export function textOf({ messages }: AgentAsk): string {
  return messages
    .map(({ role, content }) => (role === "assistant" ? `Your answer before:\n${content}` : content))
    .join("\n\n");
}
