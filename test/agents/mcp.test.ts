import { createMcpHandler, McpServer, type ServerContext } from "@modelcontextprotocol/server";
import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { askMcp } from "../../src/agents/mcp.ts";
import { Failure } from "../../src/contracts/failure.ts";
import type { AgentAsk } from "../../src/contracts/outside.ts";
import { ask, change, outside, serveWeb } from "../support/outside.ts";

type Called = { prompt: string; language?: string | null | undefined };

describe("an agent of kind mcp", () => {
  const open: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
  });
  let heard: { authorization: string | null; called: Called[] } = { authorization: null, called: [] };

  /** A real MCP server with one tool. */
  async function serve(tool: (called: Called, context: ServerContext) => Promise<object>): Promise<string> {
    heard = { authorization: null, called: [] };
    const handler = createMcpHandler(() => {
      const server = new McpServer({ name: "outer", version: "1" });
      const inputSchema = z.object({ prompt: z.string(), language: z.string().nullish() });
      server.registerTool("write", { description: "writes", inputSchema }, async (called, context) => {
        heard.called.push(called);
        return (await tool(called, context)) as never;
      });
      return server;
    });
    const { url, close } = await serveWeb((request) => {
      heard.authorization = request.headers.get("authorization");
      return handler.fetch(request);
    });
    open.push({ close: () => handler.close().then(close) });
    return `${url}/mcp`;
  }
  const call = (url: string, { tool = "write", ...rest }: Partial<AgentAsk> & { tool?: string } = {}) =>
    askMcp(
      { kind: "mcp", url, tool, token: "AGENT_OUTER", timeout_ms: 5000, probe: null },
      { ...ask, ...rest },
      { outside, signal: new AbortController().signal },
    );

  test("has its tool called with what the tool's schema names, and its bearer", async () => {
    const url = await serve(async () => ({ content: [], structuredContent: { change } }));

    expect(await call(url)).toEqual({ change });
    expect(heard.called).toEqual([{ prompt: "make it two", language: null }]);
    expect(heard.authorization).toBe("Bearer secret of AGENT_OUTER");
  });

  test("may answer in text, as a model does", async () => {
    const url = await serve(async () => ({ content: [{ type: "text", text: JSON.stringify(change) }] }));

    expect(await call(url)).toEqual({ text: JSON.stringify(change) });
  });

  test("tells how far it is, in words or in numbers", async () => {
    const url = await serve(async (_, { mcpReq: { _meta, notify } }) => {
      const { progressToken = "none" } = _meta ?? {};
      for (const said of [{ progress: 1, message: "reading" }, { progress: 2, total: 3 }, { progress: 3 }])
        await notify({ method: "notifications/progress", params: { progressToken, ...said } });
      return { content: [], structuredContent: { change } };
    });
    const progress: string[] = [];
    const reach = { kind: "mcp" as const, url, tool: "write", token: null, timeout_ms: 5000, probe: null };
    const asked = askMcp(reach, ask, {
      outside,
      signal: new AbortController().signal,
      onProgress: (text) => void progress.push(text),
    });

    expect(await asked).toEqual({ change });
    expect(progress).toEqual(["reading", "2 of 3", "3"]);
  });

  test.each([
    ["says that it failed", { content: [{ type: "text", text: "no" }], isError: true }, "agent_failed"],
    ["answers nothing", { content: [] }, "agent_answer_invalid"],
    [
      "answers with a picture",
      { content: [{ type: "image", data: "AA==", mimeType: "image/png" }] },
      "agent_answer_invalid",
    ],
    ["answers more than is read", { content: [{ type: "text", text: "x".repeat(2_200_000) }] }, "agent_answer_invalid"],
  ])("whose tool %s is a failure of its own", async (_, answer, code) => {
    const url = await serve(async () => answer);
    await expect(call(url)).rejects.toMatchObject({ code });
  });

  test("without that tool refuses", async () => {
    const url = await serve(async () => ({ content: [] }));
    await expect(call(url, { tool: "other" })).rejects.toMatchObject({ code: "agent_refused" });
  });

  test("that does not answer in time is given up", async () => {
    const url = await serve(() => new Promise(() => {}));
    await expect(call(url, { timeout_ms: 300 })).rejects.toMatchObject({ code: "agent_unreachable" });
  });

  test("that is no MCP server is a failure, and an address that is forbidden is said to be", async () => {
    const { url, close } = await serveWeb(
      async () => new Response("<html>", { headers: { "content-type": "text/html" } }),
    );
    open.push({ close });
    await expect(call(url)).rejects.toMatchObject({ code: "agent_failed" });

    const forbids = async () => {
      throw new Failure("address_forbidden", "private");
    };
    const reach = { kind: "mcp" as const, url, tool: "write", token: null, timeout_ms: 1000, probe: null };
    const asked = askMcp(reach, ask, { outside: { ...outside, fetch: forbids }, signal: new AbortController().signal });
    await expect(asked).rejects.toMatchObject({ code: "address_forbidden" });
  });
});
