import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { windowBytes } from "../../src/sandbox/credit.ts";
import { type Hub, openHub } from "../../src/sandbox/hub.ts";
import { keepLog } from "./log.ts";
import { never, script, token } from "./request.ts";

describe("a hub", () => {
  const log = keepLog();
  let hub: Hub;
  beforeAll(async () => {
    hub = await openHub({ host: "127.0.0.1", port: 0, token, log, waitMs: 150, pingMs: 50 });
  });
  afterAll(() => hub.close());

  const dial = (given = token) =>
    new WebSocket(`ws://127.0.0.1:${hub.port}`, { headers: { authorization: `Bearer ${given}` } });
  const opened = (socket: WebSocket) => new Promise<WebSocket>((up) => socket.on("open", () => up(socket)));
  const closed = (socket: WebSocket) =>
    new Promise<string>((end) => socket.on("close", (code, why) => end(`${code} ${why}`)));
  const hello = {
    type: "hello",
    version: 1,
    worker: "fake",
    class: "strict",
    why: null,
    slots: 1,
    free: 1,
    profiles: ["shell"],
    promises: {},
  };
  /** A worker of the test's own making: it says hello, beats, and answers as it is told. */
  async function pretend(answer: (frame: { type: string; run: number }, socket: WebSocket) => void, rest: object = {}) {
    const socket = await opened(dial());
    const beat = setInterval(() => socket.send('{"type":"ping"}'), 40);
    socket.on("close", () => clearInterval(beat));
    socket.on("message", (bytes) => answer(JSON.parse(String(bytes)), socket));
    socket.send(JSON.stringify({ ...hello, ...rest }));
    return socket;
  }

  test("says that nobody has come, within its time", async () => {
    await expect(hub.run(script("true"), { signal: never })).rejects.toMatchObject({
      code: "sandbox_unavailable",
      message: expect.stringContaining("no sandbox worker has dialled in"),
    });
  });

  test("says why a worker refuses, and that a profile is not offered", async () => {
    const weak = await pretend(() => {}, { class: null, why: "bwrap is not installed", worker: "weak" });
    await log.heard('"worker":"weak"');
    await expect(hub.run(script("true"), { signal: never })).rejects.toThrow("weak says: bwrap is not installed");

    const strong = await pretend(() => {}, { worker: "strong" });
    await log.heard('"worker":"strong"');
    await expect(hub.run(script("true", { profile: "cobol" }), { signal: never })).rejects.toThrow("there are shell");
    weak.terminate();
    strong.terminate();
  });

  test("refuses a wrong token with 401 and tells the log, not the token", async () => {
    const socket = dial("wrong-token");
    const error = await new Promise<Error>((fail) => socket.on("error", fail));

    expect(error.message).toContain("401");
    await log.heard("wrong token was refused");
    expect(log.lines.join()).not.toContain("wrong-token");
  });

  test.each([
    ["words that are no JSON", "nonsense"],
    ["JSON that is no frame", '{"type":"result","run":1}'],
    ["a frame before hello", '{"type":"accept","run":1}'],
    ["bytes that are no chunk", Buffer.from([9, 0, 0])],
    ["a hello of another version", JSON.stringify({ ...hello, version: 99 })],
  ])("closes the connection on %s, and stays alive", async (_, message) => {
    const socket = await opened(dial());
    const end = closed(socket);
    socket.send(message);

    expect(await end).toMatch(/^(1008|1000) ./);
    expect((await fetch(`http://127.0.0.1:${hub.port}`)).status).toBe(426);
  });

  test("survives half a frame and half a handshake", async () => {
    const key = "dGhlIHNhbXBsZSBub25jZQ==";
    const half = connect(hub.port, "127.0.0.1");
    half.write(
      `GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    );
    await new Promise((heard) => half.once("data", heard));
    half.write(Buffer.from([0x81, 0xfe, 0x10])); // a text frame that breaks off in its length
    half.destroy();
    const shorter = connect(hub.port, "127.0.0.1");
    await new Promise((up) => shorter.once("connect", up));
    shorter.end("GET / HT");

    expect((await fetch(`http://127.0.0.1:${hub.port}`)).status).toBe(426);
  });

  test("logs a result for a run that was never given, and takes no harm", async () => {
    const worker = await pretend(() => {}, { worker: "liar" });
    await log.heard('"worker":"liar"');
    const result = { type: "result", run: 77, class: "strict", reason: null, also: [], limit: null, observed: null };
    worker.send(JSON.stringify({ ...result, max_attempts: 1, steps: [], files: [], skipped: [] }));
    worker.send(Buffer.from([2, 0, 0, 0, 77, 0, 0, 0, 0, 65]));

    await log.heard("a word came for a run that was never given");
    await log.heard("bytes came for a run that was never given");
    worker.terminate();
  });

  test("notices a worker that falls silent: its run is lost", async () => {
    const silent = await opened(dial());
    silent.on("message", (bytes) => {
      const frame = JSON.parse(String(bytes));
      if (frame.type === "run") silent.send(JSON.stringify({ type: "accept", run: frame.run }));
    });
    silent.send(JSON.stringify({ ...hello, worker: "silent" }));
    await log.heard('"worker":"silent"');

    await expect(hub.run(script("true"), { signal: never })).rejects.toMatchObject({
      code: "worker_lost",
      message: expect.stringContaining("nothing was heard for three pings"),
    });
  });

  test("gives a run that a worker did not take to another", async () => {
    const result = {
      type: "result",
      class: "strict",
      reason: null,
      also: [],
      limit: null,
      observed: null,
      max_attempts: 1,
    };
    const rest = { steps: [{ name: "only", code: 0, signal: null, wall_ms: 1, cpu_ms: 1 }], files: [], skipped: [] };
    const busy = await pretend(
      ({ type, run }, socket) =>
        type === "run" && socket.send(JSON.stringify({ type: "error", run, code: "busy", message: "x" })),
      { worker: "busy", slots: 2, free: 2 },
    );
    const gone = await pretend(({ type }, socket) => type === "run" && socket.terminate(), {
      worker: "gone",
      slots: 2,
      free: 2,
    });
    const good = await pretend(
      ({ type, run }, socket) => type === "run" && socket.send(JSON.stringify({ ...result, ...rest, run })),
      { worker: "good" },
    );
    await Promise.all(["busy", "gone", "good"].map((name) => log.heard(`"worker":"${name}"`)));

    const { steps } = await hub.run(script("true"), { signal: never });

    expect(steps[0]?.code).toBe(0);
    for (const socket of [busy, gone, good]) socket.terminate();
  });

  test("sends no more than its window before a worker took it in", async () => {
    let bytes = 0;
    let beats = 0;
    const slow = await pretend(() => {}, { worker: "slow" });
    slow.removeAllListeners("message");
    slow.on("message", (content, binary) => {
      if (binary) bytes += (content as Buffer).length;
      const frame = binary ? null : JSON.parse(String(content));
      if (frame?.type === "run") slow.send(JSON.stringify({ type: "accept", run: frame.run }));
      if (frame?.type === "ping") beats++;
    });
    await log.heard('"worker":"slow"');
    const controller = new AbortController();
    const files = { large: new Uint8Array(3_000_000) };
    const running = hub.run(script("true", { files }), { signal: controller.signal });
    await expect.poll(() => bytes, { timeout: 20_000 }).toBeGreaterThan(900_000);
    const then = beats;
    await expect.poll(() => beats, { timeout: 20_000 }).toBeGreaterThan(then + 2);

    expect(bytes).toBeLessThan(windowBytes + 1000);
    controller.abort(new Error("enough"));
    await expect(running).rejects.toThrow("enough");
    slow.terminate();
  });

  test("refuses what cannot be at once, and tells its log with the trace", async () => {
    const request = script("true", { collect: ["../out"], traceId: "trace-of-the-refused" });

    await expect(hub.run(request, { signal: never })).rejects.toMatchObject({ code: "invalid_request" });
    await log.heard('"trace_id":"trace-of-the-refused"');
  });

  test.each([
    [{}, "invalid_request", "there is no sandbox profile 'cobol'; there are shell"],
    [{ cobol: "cobc not installed" }, "sandbox_unavailable", "cobc not installed"],
  ])("says of a profile with lacks %j: %s", async (lacks, code, message) => {
    const worker = await pretend(() => {}, { worker: `lacks-${code}`, lacks });
    await log.heard(`lacks-${code}`);

    await expect(hub.run(script("true", { profile: "cobol" }), { signal: never })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
    worker.terminate();
    await log.heard("has left");
  });

  test("says where it cannot listen", async () => {
    await expect(openHub({ host: "127.0.0.1", port: hub.port, token, log })).rejects.toMatchObject({
      code: "config_invalid",
    });
  });
});
