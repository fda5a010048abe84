import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Problem } from "../../src/contracts/http.ts";
import { connect } from "../../src/store/database.ts";
import { type Door, gatewayOf, openDoor, post, raw } from "./door.ts";

describe("the door", () => {
  let door: Door;
  beforeAll(async () => {
    door = await openDoor({ bodyLimit: 10_000 });
  });
  afterAll(() => door.close());

  async function problemOf(reply: Response): Promise<Problem> {
    expect(reply.headers.get("content-type")).toBe("application/problem+json; charset=utf-8");
    const problem = Problem.parse(await reply.json());
    expect(problem.status).toBe(reply.status);
    expect(problem.trace_id).toBe(reply.headers.get("x-trace-id"));
    return problem;
  }

  const send = (body: string | Buffer, type = "application/json") =>
    fetch(`${door.url}/api/chat`, { method: "POST", headers: { "content-type": type }, body });

  test.each([
    ["half an object", "{", 400, "invalid_request"],
    ["nothing", "", 400, "invalid_request"],
    ["a prototype", '{"__proto__": {"x": 1}}', 400, "invalid_request"],
    ["a constructor", '{"constructor": {"prototype": {}}}', 400, "invalid_request"],
    ["deep nesting", "[".repeat(4000) + "]".repeat(4000), 400, "invalid_request"],
    ["too much", `{"message": "${"x".repeat(11_000)}"}`, 413, "payload_too_large"],
  ])("answers a body of %s with a problem", async (_, body, status, code) => {
    expect(await problemOf(await send(body))).toMatchObject({ status, code });
  });

  test("refuses bytes that are not UTF-8", async () => {
    const bytes = Buffer.from([...Buffer.from('{"message":"'), 0xff, ...Buffer.from('"}')]);

    expect(await problemOf(await send(bytes))).toMatchObject({ status: 400, detail: "the body is not UTF-8" });
  });

  test("refuses what is not JSON by its media type", async () => {
    for (const type of ["text/plain", "application/xml", "application/x-www-form-urlencoded"]) {
      expect(await problemOf(await send("message=hi", type))).toMatchObject({
        status: 415,
        code: "unsupported_media_type",
      });
    }
  });

  test("answers an unknown route 404 and a wrong method 405 with Allow", async () => {
    expect(await problemOf(await fetch(`${door.url}/nowhere?x=1`))).toMatchObject({ status: 404, code: "not_found" });

    const wrong = await fetch(`${door.url}/api/chat`, { method: "DELETE" });
    expect(wrong.headers.get("allow")).toBe("POST");
    expect(await problemOf(wrong)).toMatchObject({ status: 405, code: "method_not_allowed" });

    const known = await fetch(`${door.url}/api/traces/${crypto.randomUUID()}`, { method: "PUT" });
    expect(known.headers.get("allow")).toBe("GET, HEAD");
  });

  test.each([
    [
      "a path that does not decode",
      "GET /artifacts/%ff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
      "400 Bad Request",
    ],
    ["nonsense", "NONSENSE\r\n\r\n", "400 Bad Request"],
    [
      "a long header",
      `GET /health HTTP/1.1\r\nHost: localhost\r\nX: ${"y".repeat(20_000)}\r\n\r\n`,
      "431 Request Header",
    ],
    ["no host", "GET /health HTTP/1.1\r\nConnection: close\r\n\r\n", "400 Bad Request"],
  ])("answers %s with a problem too", async (_, request, status) => {
    const reply = await raw(door.url, request);

    expect(reply).toContain(`HTTP/1.1 ${status}`);
    expect(reply.toLowerCase()).toContain("x-trace-id: ");
    expect(reply).toContain('"urn:dagent:problem:invalid_request"');
  });

  test("stays up and gives every answer a trace id, that of the caller's traceparent when there is one", async () => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    const reply = await fetch(`${door.url}/health`, { headers: { traceparent } });

    expect(reply.status).toBe(200);
    expect(reply.headers.get("x-trace-id")).toBe("0af76519-16cd-43dd-8448-eb211c80319c");
    expect(reply.headers.get("x-content-type-options")).toBe("nosniff");
  });

  test("leaves one line a request in the log, without credentials", async () => {
    const token = `dag_${"s".repeat(43)}`;
    const before = door.world.log.lines.length;

    const reply = await fetch(`${door.url}/api/traces?limit=1`, { headers: { authorization: `Bearer ${token}` } });
    await reply.text();

    const lines = door.world.log.lines.slice(before);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      text: "request",
      fact: { trace_id: reply.headers.get("x-trace-id"), method: "GET", route: "/api/traces", status: 401 },
    });
    expect(JSON.stringify(lines)).not.toContain(token);
  });

  test("keeps the words of what nobody foresaw in the log", async () => {
    const { world } = door;
    await world.sql`alter table bus_messages rename to elsewhere`;

    const reply = await post(`${door.url}/api/chat`, { message: "hi" });
    await world.sql`alter table elsewhere rename to bus_messages`;

    const problem = await problemOf(reply);
    expect(problem).toMatchObject({ status: 500, code: "internal" });
    expect(JSON.stringify(problem)).not.toContain("bus_messages");
    const line = world.log.lines.find(({ level }) => level === "error");
    expect(line?.fact).toMatchObject({
      trace_id: problem.trace_id,
      err: { message: expect.stringContaining("bus_messages") },
    });
  });

  test("says database_unavailable while the database is away, and lives on", async () => {
    const sql = connect("postgres://nobody@127.0.0.1:1/none", { max: 2 });
    const gateway = await gatewayOf(door.world, { sql });

    const health = await fetch(`${gateway.url}/health`);
    const chat = await post(`${gateway.url}/api/chat`, { message: "hi" });

    expect(health.headers.get("retry-after")).toBe("2");
    expect(await problemOf(health)).toMatchObject({ status: 503, code: "database_unavailable" });
    expect(await problemOf(chat)).toMatchObject({ status: 503, code: "database_unavailable" });
    expect((await fetch(`${gateway.url}/openapi.json`)).status).toBe(200);
    await gateway.close();
    await sql.end({ timeout: 0 });
  });
});
