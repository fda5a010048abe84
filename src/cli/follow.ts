import type { Client } from "../client/client.ts";
import type { EventView, TraceAnswer } from "../contracts/http.ts";

/** Follows a trace to its end, telling each event as it happens, and answers all of it. */
export async function follow(
  client: Client,
  traceId: string,
  tell: (event: EventView) => void,
  say?: (text: string) => void, // hears a model's words while it speaks
): Promise<TraceAnswer> {
  for await (const one of client.follow(traceId, { tokens: say !== undefined })) {
    if (one.name === "event") tell(one.event);
    if (one.name === "token") say?.(one.text);
  }
  return client.trace(traceId);
}
