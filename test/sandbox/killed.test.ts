import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Hub, openHub } from "../../src/sandbox/hub.ts";
import { startSandboxWorker } from "../../src/sandbox/worker.ts";
import { able, notRun, shipped } from "./ground.ts";
import { keepLog } from "./log.ts";
import { processesWith } from "./processes.ts";

const token = "a-token-of-the-test";
const never = new AbortController().signal;

/** What workers have on this host: folders and accounts, by the process id in their names. */
function leftOf(pid: number | undefined): string[] {
  const uid = process.getuid?.() ?? 0;
  const places = uid === 0 ? ["/run/dagent-sandbox"] : [join(tmpdir(), `dagent-sandbox-${uid}`)];
  const roots = existsSync("/sys/fs/cgroup")
    ? readdirSync("/sys/fs/cgroup").map((name) => `/sys/fs/cgroup/${name}/dagent-sandbox`)
    : [];
  return [...places, ...roots, "/sys/fs/cgroup/dagent-sandbox"]
    .filter((place) => existsSync(place))
    .flatMap((place) =>
      readdirSync(place)
        .filter((name) => name.startsWith(`${pid}-`))
        .map((name) => join(place, name)),
    );
}

describe.skipIf(!able)(`a worker that is killed${notRun}`, () => {
  const log = keepLog();
  let hub: Hub;
  let built: string;
  beforeAll(async () => {
    hub = await openHub({ host: "127.0.0.1", port: 0, token, log, pingMs: 200 });
    built = mkdtempSync(join(tmpdir(), "sandbox-built-"));
    symlinkSync(resolve("node_modules"), join(built, "node_modules"));
    const compiler = resolve("node_modules/typescript/bin/tsc");
    const options = {
      extends: resolve("tsconfig.json"),
      compilerOptions: { noEmit: false, outDir: built, rootDir: resolve("src") },
    };
    writeFileSync(join(built, "tsconfig.json"), JSON.stringify({ ...options, include: [resolve("src/sandbox")] }));
    spawnSync(process.execPath, [compiler, "-p", join(built, "tsconfig.json")]);
    writeFileSync(join(built, "package.json"), '{"type":"module"}');
    writeFileSync(
      join(built, "start.js"),
      `import { readFileSync } from "node:fs";
import { startSandboxWorker } from "./sandbox/worker.js";
import { SandboxLimits } from "./contracts/limits.js";
const limits = SandboxLimits.parse(JSON.parse(readFileSync(process.argv[3], "utf8")));
const log = { info() {}, warn() {}, error() {} };
startSandboxWorker({ hubs: [process.argv[2]], token: ${JSON.stringify(token)}, limits, slots: 2, log });`,
    );
  });
  afterAll(async () => {
    await hub.close();
    rmSync(built, { recursive: true, force: true });
  });

  const start = (): ChildProcess =>
    spawn(
      process.execPath,
      [join(built, "start.js"), `ws://127.0.0.1:${hub.port}`, resolve("configs/sandbox_limits.json")],
      {
        env: {}, // nothing but its hub, its token and its limits
        stdio: "ignore",
      },
    );

  test("takes its boxes with it, its run is lost, and the next worker sweeps up", async () => {
    const marker = `sleep 41${process.pid}.25`;
    const child = start();
    let outlived = Number.POSITIVE_INFINITY;
    const running = hub.run(
      {
        traceId: "0123456789abcdef0123456789abcdef",
        tenant: "acme",
        profile: "shell",
        files: {},
        steps: [{ name: "only", argv: ["sh", "-c", `(setsid ${marker} &); (${marker} &); echo up; exec ${marker}`] }],
        collect: [],
      },
      {
        signal: never,
        onOutput() {
          const killedAt = performance.now();
          child.kill("SIGKILL");
          const look = setInterval(() => {
            if (processesWith(marker).length > 0) return;
            outlived = performance.now() - killedAt;
            clearInterval(look);
          }, 5);
        },
      },
    );

    await expect(running).rejects.toMatchObject({ code: "worker_lost" });
    await expect.poll(() => outlived, { timeout: 3000 }).toBeLessThan(1000);
    const left = leftOf(child.pid);
    expect(left.length).toBeGreaterThan(0);

    const next = startSandboxWorker({ hubs: [], token, limits: shipped, slots: 1, log });
    await next.ready;
    expect(leftOf(child.pid)).toEqual([]);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain("/dagent-sandbox");
    await next.stop();
    expect(leftOf(process.pid)).toEqual([]);
  });

  test("finds its hub again after the hub was away", async () => {
    const here = keepLog();
    const first = await openHub({ host: "127.0.0.1", port: 0, token, log: here, pingMs: 200 });
    const worker = startSandboxWorker({
      hubs: [`ws://127.0.0.1:${first.port}`],
      token,
      limits: shipped,
      slots: 1,
      log: here,
      pingMs: 200,
    });
    await here.heard("a sandbox worker has come");
    await first.close();
    await here.heard("the hub is out of reach");

    const again = keepLog();
    const second = await openHub({ host: "127.0.0.1", port: first.port, token, log: again, pingMs: 200 });
    await again.heard("a sandbox worker has come");

    expect(second.workers()).toHaveLength(1);
    await worker.stop();
    await second.close();
  });
});
