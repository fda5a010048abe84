import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { askHttp, signatureOf } from "../../src/agents/http.ts";
import { Failure } from "../../src/contracts/failure.ts";
import { AgentAsk } from "../../src/contracts/outside.ts";
import { ask, change, outside } from "../support/outside.ts";

describe("an agent of kind http", () => {
  let server: Server;
  let url = "";
  let heard: { headers: IncomingMessage["headers"]; body: string }[] = [];
  let answers: (reply: ServerResponse) => void = () => {};
  beforeAll(async () => {
    server = createServer(async (request, reply) => {
      let body = "";
      for await (const piece of request) body += piece;
      heard.push({ headers: request.headers, body });
      answers(reply);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/work`;
  });
  beforeEach(() => {
    heard = [];
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  const call = (rest: Partial<AgentAsk> = {}, signal = new AbortController().signal) =>
    askHttp(
      { kind: "http", url, secret: "AGENT_OUTER", timeout_ms: 5000, probe: null },
      { ...ask, ...rest },
      { outside, signal, now: new Date(1_700_000_000_000) },
    );
  const saying =
    (status: number, body: string, headers: Record<string, string> = { "content-type": "application/json" }) =>
    (reply: ServerResponse) =>
      void reply.writeHead(status, headers).end(body);

  test("gets what is asked, signed with its secret over the time and the body", async () => {
    answers = saying(200, JSON.stringify({ change, usage: { input_tokens: 5, output_tokens: 2 }, model: "m-9" }));

    expect(await call()).toEqual({
      change,
      usage: { input_tokens: 5, output_tokens: 2, cost_usd: null },
      model: "m-9",
    });
    const [{ headers, body } = { headers: {}, body: "" }] = heard;
    expect(AgentAsk.parse(JSON.parse(body))).toEqual(ask);
    expect(headers["idempotency-key"]).toBe("7");
    expect(headers["dagent-timestamp"]).toBe("1700000000");
    expect(headers["dagent-signature"]).toBe(signatureOf("secret of AGENT_OUTER", "1700000000", body));
    expect(body).not.toContain("secret of");
  });

  test("a signature is another for another time, body or secret", () => {
    const all = [
      signatureOf("s", "1", "b"),
      signatureOf("s", "2", "b"),
      signatureOf("s", "1", "c"),
      signatureOf("t", "1", "b"),
    ];
    expect(new Set(all).size).toBe(4);
    // printf '1.b' | openssl dgst -sha256 -hmac s
    expect(all[0]).toMatch(/^v1=[0-9a-f]{64}$/);
  });

  test("may take the work and answer later, when there is where to", async () => {
    answers = saying(202, "", {});
    expect(await call()).toBeNull();
    await expect(call({ callback: null })).rejects.toMatchObject({ code: "agent_answer_invalid" });
  });

  test.each([
    ["HTML", 200, "<html>hello</html>", { "content-type": "text/html" }, "agent_answer_invalid"],
    ["HTML that says it is JSON", 200, "<html>", { "content-type": "application/json" }, "agent_answer_invalid"],
    ["JSON of another shape", 200, '{"ok":true}', { "content-type": "application/json" }, "agent_answer_invalid"],
    ["half of its JSON", 200, '{"text":"a', { "content-type": "application/json" }, "agent_answer_invalid"],
    ["nothing", 200, "", {}, "agent_answer_invalid"],
    [
      "too much",
      200,
      `{"text":"${"x".repeat(2_200_000)}"}`,
      { "content-type": "application/json" },
      "agent_answer_invalid",
    ],
    ["a redirect", 302, "", { location: "http://169.254.169.254/" }, "agent_refused"],
    ["400", 400, "no", {}, "agent_refused"],
    ["401", 401, "who", {}, "agent_refused"],
    ["500", 500, "oh", {}, "agent_unreachable"],
  ])("answering %s is a failure of its own", async (_, status, body, headers, code) => {
    answers = saying(status, body, headers as Record<string, string>);
    await expect(call()).rejects.toMatchObject({ code });
  });

  test("answering almost the shape is told what of it is wrong", async () => {
    const edits = Array.from({ length: 101 }, (_, n) => ({ path: `${n}.js`, content: "" }));
    answers = saying(200, JSON.stringify({ change: { summary: "", edits } }), { "content-type": "application/json" });
    await expect(call()).rejects.toThrow("change/edits: Too big");
  });

  test("when busy, says how long to wait", async () => {
    answers = saying(429, "", { "retry-after": "7" });
    await expect(call()).rejects.toMatchObject({ code: "agent_busy", details: { retry_after_ms: 7000 } });
  });

  test("that hangs up in the middle of its answer is unreachable", async () => {
    answers = (reply) => {
      reply.writeHead(200, { "content-type": "application/json", "content-length": "100" });
      reply.write('{"text":');
      setImmediate(() => reply.destroy());
    };
    await expect(call()).rejects.toMatchObject({ code: "agent_unreachable" });
  });

  test("that says nothing is given up after its time", async () => {
    answers = () => {};
    await expect(call({ timeout_ms: 50 })).rejects.toMatchObject({
      code: "agent_unreachable",
      message: "no answer within 50 ms",
    });
  });

  test("is no longer called when the work is called off", async () => {
    const control = new AbortController();
    let closed = false;
    answers = (reply) => {
      reply.on("close", () => {
        closed = true;
      });
      control.abort(new Failure("cancelled", "called off"));
    };
    await expect(call({}, control.signal)).rejects.toMatchObject({ code: "cancelled" });
    await expect.poll(() => closed).toBe(true);
  });

  test("that nobody listens for is unreachable, and why is said", async () => {
    const gone = createServer();
    await new Promise<void>((resolve) => gone.listen(0, "127.0.0.1", resolve));
    const { port } = gone.address() as AddressInfo;
    await new Promise((resolve) => gone.close(resolve));
    const reach = {
      kind: "http" as const,
      url: `http://127.0.0.1:${port}/`,
      secret: null,
      timeout_ms: 1000,
      probe: null,
    };
    const asked = askHttp(reach, ask, { outside, signal: new AbortController().signal, now: new Date() });
    await expect(asked).rejects.toMatchObject({
      code: "agent_unreachable",
      message: expect.stringContaining("ECONNREFUSED"),
    });
  });
});
