import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { chunkBytes, decodeChunk, encodeChunk } from "../../src/sandbox/chunk.ts";
import { windowBytes } from "../../src/sandbox/credit.ts";
import { type SandboxWorker, startSandboxWorker } from "../../src/sandbox/worker.ts";
import { able, notRun, shipped } from "./ground.ts";
import { keepLog } from "./log.ts";

const until = <Value>(look: () => Value) => expect.poll(look, { timeout: 20_000 });

type Frame = { type: string; run?: number; [field: string]: unknown };

/** One connection of a worker to a hub of the test's own making: what it said, and what to say to it. */
type Line = {
  socket: WebSocket;
  frames: Frame[];
  bytes: number; // of chunks
  closed: Promise<string>;
  say(frame: object): void;
  heard(type: string, run?: number): Promise<Frame>;
};

describe.skipIf(!able)(`a worker and a hub that is not ours${notRun}`, () => {
  const log = keepLog();
  const lines: Line[] = [];
  const newcomers: ((line: Line) => void)[] = [];
  let server: WebSocketServer;
  let worker: SandboxWorker;
  beforeAll(async () => {
    server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await new Promise((up) => server.once("listening", up));
    server.on("connection", (socket) => {
      const line = follow(socket);
      lines.push(line);
      void line.heard("hello").then(() => newcomers.shift()?.(line));
    });
    const hubs = [`ws://127.0.0.1:${(server.address() as AddressInfo).port}`];
    const first = nextLine();
    worker = startSandboxWorker({
      hubs,
      token: "any",
      limits: shipped,
      slots: 2,
      log,
      searchPath: process.env.PATH ?? "",
      pingMs: 500,
    });
    await first;
  });
  afterAll(async () => {
    await worker.stop();
    server.close();
  });

  const nextLine = () => new Promise<Line>((come) => newcomers.push(come));
  const current = () => lines.at(-1) as Line;
  const head = (script: string, rest: object = {}) => ({
    trace_id: "t",
    tenant: "acme",
    profile: "shell",
    files: [],
    steps: [{ name: "only", argv: ["sh", "-c", script] }],
    collect: [],
    ...rest,
  });

  function follow(socket: WebSocket): Line {
    const frames: Frame[] = [];
    const waiting: { type: string; run: number | undefined; come: (frame: Frame) => void }[] = [];
    const line: Line = {
      socket,
      frames,
      bytes: 0,
      closed: new Promise((end) => socket.on("close", (code, why) => end(`${code} ${why}`))),
      say: (frame) => socket.send(JSON.stringify(frame)),
      heard: (type, run) =>
        new Promise((come) => {
          const there = frames.find((frame) => frame.type === type && (run === undefined || frame.run === run));
          if (there) come(there);
          else waiting.push({ type, run, come });
        }),
    };
    const beat = setInterval(() => line.say({ type: "ping" }), 100);
    socket.on("close", () => clearInterval(beat));
    socket.on("message", (content, binary) => {
      if (binary) {
        line.bytes += decodeChunk(content as Buffer)?.bytes.length ?? 0;
        return;
      }
      const frame = JSON.parse(String(content));
      frames.push(frame);
      for (const { type, run, come } of waiting)
        if (frame.type === type && (run ?? frame.run) === frame.run) come(frame);
    });
    return line;
  }

  /** Runs a script and answers its result, to see that the worker is well. */
  async function works(line: Line, run: number): Promise<void> {
    line.say({ type: "run", run, head: head("exit 7") });
    expect(await line.heard("result", run)).toMatchObject({ reason: null, steps: [{ code: 7 }] });
  }

  test.each([
    ["words that are no JSON", "nonsense"],
    ["JSON that is no frame", '{"type":"run"}'],
    [
      "a run with a path that leads out",
      JSON.stringify({ type: "run", run: 1, head: head("", { collect: ["../x"] }) }),
    ],
    [
      "a run with 100,000 files",
      JSON.stringify({ type: "run", run: 1, head: head("", { files: Array(100_000).fill({ path: "a", bytes: 0 }) }) }),
    ],
    ["a worker's frame", '{"type":"result","run":1}'],
    ["bytes that are no chunk", Buffer.from([7, 7])],
  ])("ends the connection on %s, dials again and works", async (_, message) => {
    const again = nextLine();
    const { socket, closed } = current();
    socket.send(message);

    expect(await closed).toMatch(/^1008 ./);
    await works(await again, 1);
  });

  test("takes no harm from words and bytes for a run that it does not have", async () => {
    const line = current();
    line.say({ type: "ack", run: 99, bytes: 5 });
    line.say({ type: "cancel", run: 99 });
    line.socket.send(encodeChunk({ kind: "input", run: 99, index: 0, bytes: Buffer.from("x") }));
    line.socket.send(encodeChunk({ kind: "stdout", run: 99, index: 0, bytes: Buffer.from("x") }));

    await works(line, 100);
    await log.heard("bytes came that nobody here waits for");
  });

  test.each([
    ["an unknown profile", { profile: "cobol" }, "invalid_request"],
    ["a wish that is larger than a box may be given", { files: [{ path: "a", bytes: 70_000_000 }] }, "invalid_request"],
    [
      "two files where one must be a folder",
      { files: ["a", "a/b"].map((path) => ({ path, bytes: 0 })) },
      "invalid_request",
    ],
  ])("refuses %s in words, tells its log with the trace, and works on", async (_, rest, code) => {
    const line = current();
    const run = 200 + line.frames.length;
    line.say({ type: "run", run, head: head("true", { ...rest, trace_id: `trace-${run}` }) });

    expect(await line.heard("error", run)).toMatchObject({ code });
    await log.heard(`"trace_id":"trace-${run}"`);
    await works(line, run + 1);
  });

  test("refuses more bytes than were announced", async () => {
    const line = current();
    line.say({ type: "run", run: 300, head: head("true", { files: [{ path: "a", bytes: 2 }] }) });
    await line.heard("accept", 300);
    line.socket.send(encodeChunk({ kind: "input", run: 300, index: 0, bytes: Buffer.from("long") }));

    expect(await line.heard("error", 300)).toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("longer"),
    });
    await works(line, 301);
  });

  test("says that it is busy when its slots are taken, and takes again when one is free", async () => {
    const line = current();
    for (const run of [400, 401, 402]) line.say({ type: "run", run, head: head("sleep 100") });

    expect(await line.heard("error", 402)).toMatchObject({ code: "busy" });
    for (const run of [400, 401]) line.say({ type: "cancel", run });
    await Promise.all([400, 401].map((run) => line.heard("error", run)));
    await until(() => line.frames.findLast(({ type }) => type === "ping")?.free).toBe(2);
    await works(line, 403);
  });

  test("sends no more than its window before somebody took it in, and all of it afterwards", async () => {
    const line = current();
    const before = line.bytes;
    const sent = () => line.bytes - before;
    line.say({ type: "run", run: 500, head: head("head -c 3000000 /dev/zero") });
    await until(sent).toBeGreaterThan(windowBytes - chunkBytes);
    const beats = () => line.frames.filter(({ type }) => type === "ping").length;
    const then = beats();
    await until(beats).toBeGreaterThan(then + 2); // it had the time to send more

    expect(sent()).toBeLessThanOrEqual(windowBytes);
    for (let acked = 0; sent() < 3_000_000; ) {
      line.say({ type: "ack", run: 500, bytes: sent() - acked });
      acked = sent();
      await until(sent).toBeGreaterThan(acked);
    }
    expect(await line.heard("result", 500)).toMatchObject({ reason: null, steps: [{ code: 0 }] });
    expect(sent()).toBe(3_000_000);
  });

  test("does not say again, nor do again, what it had in hand when the connection broke", async () => {
    const line = current();
    line.say({ type: "run", run: 600, head: head("echo begun; sleep 100") });
    await until(() => line.bytes).toBeGreaterThan(0);
    line.say({ type: "run", run: 601, head: head("exit 3") });
    await line.heard("result", 601);
    const again = nextLine();
    line.socket.terminate();
    const next = await again;

    await until(() => next.frames.findLast(({ free }) => free !== undefined)?.free).toBe(2); // nobody waits for it
    await works(next, 1);
    expect(next.frames.filter(({ type }) => !["hello", "ping", "accept"].includes(type))).toHaveLength(1);
  });

  test("leaves a hub that falls silent, and gives up what it does for it", async () => {
    const again = nextLine();
    const { socket } = current();
    current().say({ type: "run", run: 700, head: head("sleep 100") });
    await current().heard("accept", 700);
    socket.pause();
    current().say = () => {};
    const next = await again;

    expect((await next.heard("hello")).free).toBeLessThanOrEqual(2);
    await works(next, 1);
  });
});
