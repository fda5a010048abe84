import type { Client } from "../../src/client/client.ts";
import type { ChatRequest } from "../../src/contracts/chat.ts";
import type { FailureView, TraceView } from "../../src/contracts/http.ts";
import type { Answer } from "../../src/contracts/message.ts";

/** How a request ended, and how long it took from the first byte sent to the answer heard. */
export type Ended = { traceId: string; answer: Answer | null; failure: FailureView | null; ms: number };

/** Asks, and waits for the end of the trace. */
export async function askThrough(client: Client, request: Partial<ChatRequest>): Promise<Ended> {
  const began = performance.now();
  const { trace_id: traceId, answer, failure } = await client.ask(request);
  return { traceId, answer, failure, ms: performance.now() - began };
}

/** Why a task was not solved, in a word or a line; null when it was. */
export function reasonOf({ answer, failure }: Pick<TraceView, "answer" | "failure">): string | null {
  if (answer?.verdict === "pass") return null;
  if (!failure) return answer ? "red" : "no answer";
  if (failure.code === "never_green") return lastLine(failure.message);
  const { reason } = failure.details;
  return failure.code === "sandbox_violation" && typeof reason === "string" ? reason : failure.code;
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)?.trim().slice(0, 200) ?? "";
}
