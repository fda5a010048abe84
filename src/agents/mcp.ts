import type { Client, Progress, Tool } from "@modelcontextprotocol/client";
import type { Reach } from "../contracts/agent.ts";
import { Failure } from "../contracts/failure.ts";
import { AgentAnswer, type AgentAsk } from "../contracts/outside.ts";
import { calling, doorTo, type Hearing, textOf } from "./door.ts";

type McpReach = Extract<Reach, { kind: "mcp" }>;

/**
 * Calls a tool of an MCP server over streamable HTTP. Of `prompt` (the question as one text) and the fields of
 * `agent.ask/1` it gets those that its schema names; one that names none gets `prompt`. The answer is its structured
 * content of the shape `agent.answer`, or its text; what it notifies of its progress goes to `onProgress`. Its client
 * library is loaded with the first question.
 *
 * Throws `agent_unreachable`, `agent_failed`, `agent_refused` (it has no such tool) and `agent_answer_invalid`.
 */
export async function askMcp(
  { url, tool, token }: McpReach,
  ask: AgentAsk,
  { outside, signal, onProgress }: Hearing,
): Promise<AgentAnswer> {
  return calling(ask, signal, async (under) => {
    const client = await open(url, doorTo(url, { outside, token, under }));
    const { signal: limit } = under;
    try {
      const { tools } = await client.listTools(undefined, { signal: limit });
      const one = tools.find(({ name }) => name === tool);
      if (!one) throw new Failure("agent_refused", `the server has no tool ${tool}`);
      const onprogress = onProgress && ((progress: Progress) => onProgress(wordsOf(progress)));
      const options = { signal: limit, timeout: ask.timeout_ms, ...(onprogress && { onprogress }) };
      return answerOf(await client.callTool({ name: tool, arguments: argumentsOf(one, ask) }, options));
    } finally {
      await client.close().catch(() => {}); // what came has come
    }
  });
}

async function open(url: string, fetch: typeof globalThis.fetch): Promise<Client> {
  const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
  const client = new Client({ name: "dagent", version: "1" });
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { fetch }));
  return client;
}

function argumentsOf({ inputSchema }: Tool, ask: AgentAsk): Record<string, unknown> {
  const all: Record<string, unknown> = { prompt: textOf(ask), ...ask };
  const named = Object.keys(inputSchema.properties ?? {}).filter((name) => Object.hasOwn(all, name));
  return Object.fromEntries((named.length > 0 ? named : ["prompt"]).map((name) => [name, all[name]]));
}

/** What the tool says of its progress; one that says nothing has its numbers told. */
function wordsOf({ message, progress, total }: Progress): string {
  return message || (total === undefined ? `${progress}` : `${progress} of ${total}`);
}

type Called = Awaited<ReturnType<Client["callTool"]>>;

function answerOf({ isError, structuredContent, content }: Called): AgentAnswer {
  const text = content.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("\n");
  if (isError) throw new Failure("agent_failed", `the tool failed: ${text.slice(0, 300)}`);
  const answer = AgentAnswer.safeParse(structuredContent);
  if (answer.success) return answer.data;
  const said = AgentAnswer.safeParse({ text });
  if (said.success) return said.data;
  throw new Failure("agent_answer_invalid", "the tool answered neither text nor content of the shape agent.answer");
}
