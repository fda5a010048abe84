import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Failure } from "../../src/contracts/failure.ts";
import type { AgentAsk, Outside } from "../../src/contracts/outside.ts";

/** A question as codegen would put it. */
export const ask: AgentAsk = {
  schema: "agent.ask/1",
  message_id: "7",
  trace_id: "aaaaaaaa-bbbb-4cc3-98c4-dc0c0c07398f",
  tenant: "acme",
  intent: "code.generate",
  agent: { agent_id: "outer", agent_version: "1" },
  round: 1,
  messages: [{ role: "user", content: "make it two" }],
  language: null,
  build: null,
  test: "node --test",
  max_tokens: 100,
  timeout_ms: 5000,
  callback: { url: "http://gateway.test/api/callbacks/7", token: "t", expires_at: "2030-01-01T00:00:00.000Z" },
};

export const change = { summary: "two", edits: [{ path: "one.js", content: "2\n" }] };

export const outside: Outside = {
  fetch,
  secretOf: (name) => `secret of ${name}`,
  publicUrl: "http://gateway.test",
  newToken: () => "t",
  modelAt: () => {
    throw new Failure("model_not_configured", "none");
  },
};

/** A server of web-standard requests, on a free port of this machine. */
export async function serveWeb(
  answer: (request: Request) => Promise<Response>,
): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer(async (incoming, reply) => {
    const pieces: Buffer[] = [];
    for await (const piece of incoming) pieces.push(piece);
    const { method = "GET" } = incoming;
    const headers = Object.entries(incoming.headers).map(([name, value]): [string, string] => [name, String(value)]);
    const body = method === "GET" || pieces.length === 0 ? {} : { body: Buffer.concat(pieces) };
    const said = await answer(new Request(new URL(incoming.url ?? "/", url), { method, headers, ...body }));
    reply.writeHead(said.status, Object.fromEntries(said.headers));
    try {
      for await (const piece of said.body ?? []) await new Promise((written) => reply.write(piece, written));
      reply.end();
    } catch {
      reply.destroy(); // a body that throws is a connection that breaks
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
