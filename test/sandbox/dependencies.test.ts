import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunRequest } from "../../src/contracts/sandbox.ts";
import { type Hub, openHub } from "../../src/sandbox/hub.ts";
import { type SandboxWorker, startSandboxWorker } from "../../src/sandbox/worker.ts";
import { able, notRun, shipped } from "./ground.ts";
import { keepLog } from "./log.ts";
import { never, script, token } from "./request.ts";

const key = (n: number) => String(n).repeat(64);
const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();

describe.skipIf(!able).each(shipped.classes)(`what a run keeps for others, in the %s class${notRun}`, (name) => {
  const folder = mkdtempSync(join(tmpdir(), "deps-test-"));
  let hub: Hub;
  const workers: SandboxWorker[] = [];
  let is: string | null = null;
  /** A worker whose depot is one of its own. */
  async function start(depot: string | null): Promise<SandboxWorker> {
    const worker = startSandboxWorker({
      hubs: [`ws://127.0.0.1:${hub.port}`],
      token,
      limits: { ...shipped, classes: [name] },
      slots: 2,
      log: keepLog(),
      depot: depot === null ? null : { folder: join(folder, depot), bytes: 10_000_000 },
    });
    workers.push(worker);
    is = (await worker.ready).class;
    return worker;
  }
  beforeAll(async () => {
    hub = await openHub({ host: "127.0.0.1", port: 0, token, log: keepLog(), waitMs: 5000 });
    await start("first");
  });
  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.stop()));
    await hub.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const run = (request: RunRequest) => hub.run(request, { signal: never });
  const install = (n: number, words: string, rest: Partial<RunRequest> = {}) =>
    run(script(words, { keep: { key: key(n), folder: "node_modules" }, ...rest }));
  const use = (n: number, words: string, rest: Partial<RunRequest> = {}) =>
    run(script(words, { uses: { key: key(n) }, ...rest }));
  const make = "mkdir -p node_modules/.bin node_modules/@a/b && echo one > node_modules/@a/b/x";

  test("is there for the next run of the tenant, which cannot write to it, and finds its programs", async () => {
    const program = "printf '#!/bin/sh\\necho program' > node_modules/.bin/prog && chmod 755 node_modules/.bin/prog";
    expect((await install(1, `${make} && ${program}`)).kept).toEqual({ done: true, cached: false, why: null });

    const { steps, reason } = await use(
      1,
      "cat node_modules/@a/b/x; prog; mkdir node_modules/.cache && echo made; " +
        "(echo x > node_modules/@a/b/x) 2>/dev/null || echo kept; rm -rf /deps/node_modules 2>/dev/null || echo kept",
    );
    expect({ reason, out: text(steps[0]?.stdout) }).toEqual({ reason: null, out: "one\nprogram\nmade\nkept\nkept\n" });
    expect(text((await use(1, "cat node_modules/@a/b/x")).steps[0]?.stdout)).toBe("one\n");
  });

  test("is not installed again, and is nobody else's", async () => {
    const again = await install(1, "echo never; exit 1");
    expect(again).toMatchObject({ class: is, steps: [], kept: { done: true, cached: true } });

    await expect(use(1, "ls /deps", { tenant: "other" })).rejects.toMatchObject({
      code: "sandbox_unavailable",
      retry: true,
    });
    expect((await install(1, "mkdir node_modules", { tenant: "other" })).kept).toMatchObject({ cached: false });
    expect(text((await use(1, "ls /deps/node_modules | wc -l", { tenant: "other" })).steps[0]?.stdout).trim()).toBe(
      "0",
    );
  });

  test("a run that uses nothing sees nothing", async () => {
    const { steps } = await run(script("ls -A /deps; ls -A /work"));

    expect(text(steps[0]?.stdout)).toBe("");
  });

  test.each([
    [
      "a link that leads out of it",
      `${make} && ln -s ../../../etc/passwd node_modules/x`,
      "node_modules/x is a link that leads out",
    ],
    ["a pipe", `${make} && mkfifo node_modules/x`, "node_modules/x is neither a plain file nor a folder"],
    ["itself a link", "mkdir real && ln -s real node_modules", "neither a plain file nor a folder"],
    ["not there", "true", "node_modules is not there"],
  ])("is refused when it is, or holds, %s", async (_, words, why) => {
    expect((await install(2, words)).kept).toMatchObject({ done: false, why: expect.stringContaining(why) });
    await expect(use(2, "true")).rejects.toMatchObject({ code: "sandbox_unavailable" });
  });

  test("is nothing where a step was red or a limit was broken", async () => {
    expect((await install(3, `${make} && exit 3`)).kept).toBeUndefined();
    const flood = await install(3, `${make} && yes`, { limits: { size: { stdout_bytes: 1000 } } });
    expect(flood).toMatchObject({ reason: "output", kept: undefined });
    await expect(use(3, "true")).rejects.toMatchObject({ code: "sandbox_unavailable" });
  });

  test("is made once for those who ask at one time; one of them gives up, and the others go on", async () => {
    const gone = new AbortController();
    const asked = [1, 2, 3].map(() => install(4, `${make} && cat /proc/sys/kernel/random/uuid > node_modules/id`));
    const left = hub.run(script("true", { keep: { key: key(4), folder: "node_modules" } }), { signal: gone.signal });
    gone.abort(new Error("not any more"));

    await expect(left).rejects.toThrow("not any more");
    const cached = (await Promise.all(asked)).map(({ kept }) => kept?.cached);
    expect(cached.sort()).toEqual([false, true, true]);
  });

  test("goes with its worker: who uses it is told so, and it is installed elsewhere", async () => {
    await install(5, make);
    await workers[0]?.stop();
    await start("second");

    await expect(use(5, "true")).rejects.toMatchObject({ code: "sandbox_unavailable", retry: true });
    expect((await install(5, make)).kept).toEqual({ done: true, cached: false, why: null });
    expect((await use(5, "true")).steps[0]?.code).toBe(0);
  });

  test("is not asked of a worker that keeps nothing", async () => {
    await workers[1]?.stop();
    await start(null);

    await expect(install(6, make)).rejects.toMatchObject({ code: "sandbox_unavailable" });
    expect(existsSync(join(folder, "first")) && readdirSync(join(folder, "first")).length).toBe(1);
  });
});
