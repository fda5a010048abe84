import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunRequest } from "../../src/contracts/sandbox.ts";
import { type Hub, openHub } from "../../src/sandbox/hub.ts";
import { type SandboxWorker, startSandboxWorker } from "../../src/sandbox/worker.ts";
import { able, notRun, shipped } from "./ground.ts";
import { keepLog } from "./log.ts";
import { never, script, token } from "./request.ts";

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
