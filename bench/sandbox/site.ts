import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Ready } from "../../src/app/child.ts";
import { kitEnvironment, readConfig } from "../../src/app/config.ts";
import { packageRoot } from "../../src/app/paths.ts";
import { Failure } from "../../src/contracts/failure.ts";
import type { Log } from "../../src/contracts/log.ts";
import type { Chunk, RunRequest, RunResult } from "../../src/contracts/sandbox.ts";
import { openHub } from "../../src/sandbox/hub.ts";
import { descendantsOf, textOf } from "./processes.ts";

/** A hub with one sandbox worker behind it: a process of its own, as the product starts it. */
export type Site = {
  class: string;
  worker: ChildProcess;
  run(request: Partial<RunRequest>, onOutput?: (chunk: Chunk) => void): Promise<RunResult>;
  rested(): Promise<void>; // the worker makes nothing ready any more, and ends nothing
  close(): Promise<void>;
};

const never = new AbortController().signal;
const silent: Log = { info() {}, warn() {}, error() {} };

/** Opens one. `warm`: how many boxes wait; left out: as the product does. Throws `sandbox_unavailable`. */
export async function openSite({ slots, warm }: { slots: number; warm?: number }): Promise<Site> {
  const token = randomBytes(24).toString("hex");
  const hub = await openHub({ host: "127.0.0.1", port: 0, token, log: silent });
  const env = {
    ...kitEnvironment(readConfig()),
    SANDBOX_HUBS: `ws://127.0.0.1:${hub.port}`,
    SANDBOX_TOKEN: token,
    SANDBOX_SLOTS: String(slots),
    ...(warm !== undefined && { SANDBOX_WARM: String(warm) }),
    LOG_LEVEL: "silent",
  };
  const worker = spawn(process.execPath, [join(packageRoot, "dist/src/cli/main.js"), "sandbox"], {
    cwd: "/",
    env,
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  const ready = await new Promise<Ready>((resolve) => {
    worker.once("message", (message) => resolve(message as Ready)); // what a role tells who started it
    void ended.then(() => resolve({ ready: false, code: "sandbox_unavailable", message: "the worker ended" }));
  });
  const name = ready.ready ? ready.facts.class : null;
  async function close(): Promise<void> {
    worker.kill("SIGTERM");
    await ended;
    await hub.close();
  }
  if (typeof name !== "string") {
    await close();
    const why = ready.ready ? String(ready.facts.why) : ready.message;
    throw new Failure("sandbox_unavailable", `this machine cannot isolate: ${why}`);
  }
  return {
    class: name,
    worker,
    run: (request, onOutput) =>
      hub.run(
        { traceId: "bench", tenant: "bench", profile: "shell", files: {}, steps: [], collect: [], ...request },
        { signal: never, ...(onOutput && { onOutput }) },
      ),
    rested: () => restOf(worker.pid ?? 0),
    close,
  };
}

/** What a worker at rest has: the shells that wait, and what holds them. */
const atRest = new Set(["bwrap", "sh"]);

/** Until the processes below a worker have been the same for 40 ms, and none of them makes or ends a box. */
async function restOf(pid: number): Promise<void> {
  let before = "";
  for (let same = 0; same < 4; ) {
    await pause(10);
    const now = descendantsOf(pid).map((one) => `${one.pid} ${textOf(`/proc/${one.pid}/comm`).trim()}`);
    const still = now.join() === before && now.every((one) => atRest.has(one.split(" ")[1] ?? ""));
    before = now.join();
    same = still ? same + 1 : 0;
  }
}
