import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { RunRequest } from "../../src/contracts/sandbox.ts";
import { type Hub, openHub } from "../../src/sandbox/hub.ts";
import { type SandboxWorker, startSandboxWorker } from "../../src/sandbox/worker.ts";
import { able, notRun, shipped } from "./ground.ts";
import { keepLog } from "./log.ts";

const token = "a-token-of-the-test";
const never = new AbortController().signal;
const script = (text: string, rest: Partial<RunRequest> = {}): RunRequest => ({
  traceId: "0123456789abcdef0123456789abcdef",
  tenant: "acme",
  profile: "shell",
  files: {},
  steps: [{ name: "only", argv: ["sh", "-c", text] }],
  collect: [],
  ...rest,
});

describe.skipIf(!able)(`a hub and a worker${notRun}`, () => {
  const log = keepLog();
  let hub: Hub;
  let worker: SandboxWorker;
  beforeAll(async () => {
    hub = await openHub({ host: "127.0.0.1", port: 0, token, log, pingMs: 200 });
    worker = startSandboxWorker({
      hubs: [`ws://127.0.0.1:${hub.port}`],
      token,
      limits: shipped,
      slots: 2,
      log,
      searchPath: process.env.PATH ?? "",
      pingMs: 200,
    });
    await worker.ready;
    await log.heard("a sandbox worker has come");
  });
  afterAll(async () => {
    await worker.stop();
    await hub.close();
  });

  test("the hub knows who has come, of which class, and what that promises", async () => {
    const { worker: id, class: name } = await worker.ready;

    expect(hub.workers()).toMatchObject([
      { id, class: name, slots: 2, free: 2, profiles: expect.arrayContaining(["node", "shell"]) },
    ]);
    expect(hub.workers()[0]?.promises).toMatchObject({ "time.wall": "held", disk: "held", network: "held" });
  });

  test("carries bytes there and back as they are", async () => {
    const bytes = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 7) % 256);

    const result = await hub.run(
      script("cat in/bytes; cat in/bytes >&2; mkdir out; cp in/bytes out/copy; : > out/empty", {
        files: { "in/bytes": bytes, "in/none": new Uint8Array() },
        collect: ["out"],
      }),
      { signal: never },
    );

    expect(result).toMatchObject({ reason: null, maxAttempts: 2, skipped: [] });
    expect(Buffer.from(bytes).equals(result.steps[0]?.stdout ?? new Uint8Array())).toBe(true);
    expect(Buffer.from(bytes).equals(result.steps[0]?.stderr ?? new Uint8Array())).toBe(true);
    expect(result.files.map(({ path, content }) => [path, content.byteLength])).toEqual([
      ["out/copy", 300_000],
      ["out/empty", 0],
    ]);
    expect(Buffer.from(bytes).equals(result.files[0]?.content ?? new Uint8Array())).toBe(true);
  });

  test("carries more than a window of bytes in each direction", async () => {
    const files = Object.fromEntries(["a", "b", "c"].map((name) => [name, new Uint8Array(1_500_000).fill(65)]));

    const { steps, reason } = await hub.run(script("cat a b; wc -c < c", { files }), { signal: never });

    expect(reason).toBeNull();
    expect(steps[0]?.stdout.byteLength).toBe(3_000_000 + "1500000\n".length);
  });

  test("tells what a step prints while it still runs", async () => {
    const controller = new AbortController();
    const heard: string[] = [];
    const running = hub.run(script("echo first; exec sleep 100"), {
      signal: controller.signal,
      onOutput({ step, stream, bytes }) {
        heard.push(`${step} ${stream} ${Buffer.from(bytes)}`);
        controller.abort(new Error("seen enough"));
      },
    });

    await expect(running).rejects.toThrow("seen enough");
    expect(heard).toEqual(["only stdout first\n"]);
    await log.heard("was cancelled");
  });

  test("answers a violation with its reason, and what was printed until then", async () => {
    const result = await hub.run(script("echo begun; sleep 100", { limits: { time: { wall_ms: 200 } } }), {
      signal: never,
    });

    expect(result).toMatchObject({
      reason: "time.wall",
      limit: 200,
      steps: [{ name: "only", code: null, signal: "SIGKILL" }],
    });
    expect(Buffer.from(result.steps[0]?.stdout ?? []).toString()).toBe("begun\n");
  });

  test("gives each run a slot of its own, and lets the others wait their turn", async () => {
    const results = await Promise.all(
      Array.from({ length: 6 }, (_, index) => hub.run(script(`echo ${index}; sleep 0.05`), { signal: never })),
    );

    expect(results.map(({ steps }) => Buffer.from(steps[0]?.stdout ?? []).toString())).toEqual(
      Array.from({ length: 6 }, (_, index) => `${index}\n`),
    );
  });

  test.each([
    ["a path that leaves the folder", { files: { "../out": new Uint8Array(1) } }, "files.0.path"],
    ["an absolute path", { files: { "/etc/x": new Uint8Array(1) } }, "files.0.path"],
    ["a path to collect that leaves the folder", { collect: ["a/../../b"] }, "collect.0"],
    ["no step", { steps: [] }, "steps"],
    ["a NUL in an argument", { steps: [{ name: "x", argv: ["a\0b"] }] }, "steps.0.argv.0"],
    ["a limit that there is not", { limits: { time: { walls: 1 } } as never }, "limits.time"],
  ] as [string, Partial<RunRequest>, string][])("refuses %s, naming the field", async (_, rest, field) => {
    await expect(hub.run(script("true", rest), { signal: never })).rejects.toMatchObject({
      code: "invalid_request",
      details: { field },
    });
  });

  test("refuses 100,000 files and an unknown profile, and goes on", async () => {
    const files = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`f${index}`, new Uint8Array()]));

    await expect(hub.run(script("true", { files }), { signal: never })).rejects.toMatchObject({
      code: "invalid_request",
    });
    await expect(
      hub.run(script("true", { files: { a: new Uint8Array(70_000_000) } }), { signal: never }),
    ).rejects.toThrow("67108864 are allowed");
    expect((await hub.run(script("true"), { signal: never })).steps[0]?.code).toBe(0);
  });
});

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

  test("says where it cannot listen", async () => {
    await expect(openHub({ host: "127.0.0.1", port: hub.port, token, log })).rejects.toMatchObject({
      code: "config_invalid",
    });
  });
});
