import type { Client } from "../src/client/client.ts";
import type { ChatRequest } from "../src/contracts/chat.ts";
import type { EventView, TraceAnswer } from "../src/contracts/http.ts";

/** What a story may use: the door, like anybody outside, and the power to kill. */
export type Stage = {
  client: Client;
  open(token: string): Client; // the same door, with a key
  sandboxed: string | null; // the class of the sandbox; null: it refuses work
  packageFolder(name: string): string; // of an installed package
  killWorker(): void; // kill -9
  killSandbox(): void;
};

/** A story that must end well: it answers one line of what it saw, and throws when something is not as it must be. */
export type Story = {
  name: string;
  needsSandbox: boolean;
  walk(stage: Stage): Promise<Account>;
};

/** What a story saw, in a line, and the traces it left to look at. */
export type Account = { saw: string; traces: string[] };

/** Says what had to be true; throws when it is not. */
export function must(claim: unknown, what: string): asserts claim {
  if (!claim) throw new Error(`not so: ${what}`);
}

/** Asks, follows the trace to its end, and answers all of it. */
export async function askThrough(
  { client }: Stage,
  request: Partial<ChatRequest>,
  { key, onEvent }: { key?: string; onEvent?: (event: EventView) => void } = {},
): Promise<TraceAnswer> {
  const { trace_id } = await client.chat(request, key === undefined ? {} : { idempotencyKey: key });
  return endOf(client, trace_id, onEvent);
}

/** Follows a trace to its end, and answers all of it. */
export async function endOf(
  client: Client,
  traceId: string,
  onEvent: (event: EventView) => void = () => {},
): Promise<TraceAnswer> {
  for await (const event of client.follow(traceId, { signal: AbortSignal.timeout(60_000) })) {
    if (event.name === "event") onEvent(event.event);
  }
  return client.trace(traceId);
}

/** A file a trace left behind, as text. Throws `not_found` when it did not. */
export async function textOf({ client }: Stage, traceId: string, name: string): Promise<string> {
  const { content } = await client.artifact(`${traceId}/${name}`);
  return new TextDecoder().decode(content);
}

/** How often a kind of event happened in a trace. */
export function countOf({ events }: TraceAnswer, kind: string): number {
  return events.filter((event) => event.kind === kind).length;
}
