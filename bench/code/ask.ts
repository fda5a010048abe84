import type { Client } from "../../client/client.ts";
import type { ChatRequest } from "../../contracts/chat.ts";
import type { TraceView } from "../../contracts/http.ts";

/** How a request ended, and how long it took from the first byte sent to the answer heard. */
export type Ended = { trace: TraceView; ms: number };

/** Asks, and waits for the end of the trace. */
export async function askThrough(client: Client, request: Partial<ChatRequest>): Promise<Ended> {
  const began = performance.now();
  const { trace_id } = await client.chat(request);
  for await (const news of client.follow(trace_id)) if (news.name !== "event") break;
  const ms = performance.now() - began;
  const { trace } = await client.trace(trace_id);
  return { trace, ms };
}

/** Why a task was not solved, in a word or a line; null when it was. */
export function reasonOf({ answer, failure }: TraceView): string | null {
  if (answer?.verdict === "pass") return null;
  if (!failure) return answer ? "red" : "no answer";
  if (failure.code === "never_green") return lastLine(failure.message);
  const { reason } = failure.details;
  return failure.code === "sandbox_violation" && typeof reason === "string" ? reason : failure.code;
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)?.trim().slice(0, 200) ?? "";
}
