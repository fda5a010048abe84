import { randomBytes, randomUUID } from "node:crypto";
import type { ExecAnswer, ExecRequest } from "../contracts/exec.ts";
import { Failure } from "../contracts/failure.ts";
import {
  above,
  type Limits,
  overlay,
  type Profile,
  type ProfileWish,
  type SandboxLimits,
} from "../contracts/limits.ts";
import type { Log } from "../contracts/log.ts";
import type { RunResult } from "../contracts/sandbox.ts";
import { openHub } from "../sandbox/hub.ts";
import { findProgram } from "../sandbox/programs.ts";
import { type SandboxWorker, startSandboxWorker } from "../sandbox/worker.ts";
import { searchPath } from "./config.ts";

/** Runs single commands in boxes of this machine: a hub, and real workers that dial it over WebSocket. */
export type Exec = {
  run(request: ExecRequest, signal: AbortSignal): Promise<ExecAnswer>;
  close(): Promise<void>;
};

type Ground = Pick<Profile, "programs" | "binds" | "environment">;

/**
 * Opens a hub on loopback. A worker is started for the first run, and one more for each other set of programs, binds and
 * variables. Runs throw `invalid_request` naming what is wrong, or `sandbox_unavailable` saying what this machine lacks.
 */
export async function openExec(file: SandboxLimits, { slots, log }: { slots: number; log: Log }): Promise<Exec> {
  const token = randomBytes(24).toString("hex");
  const hub = await openHub({ host: "127.0.0.1", port: 0, token, log });
  const workers = new Map<string, { profile: string; worker: SandboxWorker }>();

  async function profileFor(ground: Ground): Promise<string> {
    const key = JSON.stringify(ground);
    const known = workers.get(key);
    const profile = known?.profile ?? `exec${workers.size}`;
    const start = () => {
      const limits = { ...file, profiles: { [profile]: { ...ground, ...file.maximum } } };
      const hubs = [`ws://127.0.0.1:${hub.port}`];
      return startSandboxWorker({ hubs, token, limits, slots, log, searchPath: searchPath() });
    };
    const worker = known?.worker ?? start();
    workers.set(key, { profile, worker });
    const facts = await worker.ready;
    if (facts.class === null) throw new Failure("sandbox_unavailable", `this machine cannot isolate: ${facts.why}`);
    return profile;
  }

  return {
    async run({ argv, files, limits: wish, collect }, signal) {
      const limits = limitsOf(file, wish);
      const profile = await profileFor(groundOf(file, wish));
      const result = await hub.run(
        {
          traceId: randomUUID(),
          tenant: "local",
          profile,
          files: Object.fromEntries(Object.entries(files).map(([path, text]) => [path, bytesOf(path, text)])),
          steps: [{ name: "exec", argv }],
          collect,
          limits,
        },
        { signal },
      );
      return answerOf(result);
    },
    async close() {
      await Promise.all([...workers.values()].map(({ worker }) => worker.stop()));
      await hub.close();
    },
  };
}

/** The defaults with the wish over them. Throws `invalid_request` when that is above the maximum. */
function limitsOf(file: SandboxLimits, wish: ProfileWish): Limits {
  const limits = overlay(file.defaults, wish);
  const [path] = above(limits, file.maximum);
  if (!path) return limits;
  const field = ["limits", ...path].join(".");
  throw new Failure("invalid_request", `${field} is above the maximum of sandbox_limits.json`, { field });
}

/** What the box shows: as wished, else every program of the file's profiles that this machine has. */
function groundOf({ profiles }: SandboxLimits, { programs, binds = [], environment = {} }: ProfileWish): Ground {
  const missing = programs?.find((name) => !findProgram(name, searchPath()));
  if (missing !== undefined) {
    throw new Failure("invalid_request", `there is no program '${missing}' on this machine`, {
      field: "limits.programs",
    });
  }
  const known = [...new Set(Object.values(profiles).flatMap((profile) => profile.programs))];
  return { programs: programs ?? known.filter((name) => findProgram(name, searchPath())), binds, environment };
}

/** Node skips over what is not base64; here it is refused. */
function bytesOf(path: string, text: string): Uint8Array {
  const bytes = Buffer.from(text, "base64");
  const letters = text.length - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0);
  if (text.length % 4 !== 0 || bytes.length !== Math.floor((letters * 3) / 4)) {
    throw new Failure("invalid_request", `the content of ${path} is not base64`, { field: `files.${path}` });
  }
  return bytes;
}

function answerOf({ steps, files, ...result }: RunResult): ExecAnswer {
  const [step] = steps;
  return {
    reason: result.reason,
    also: result.also,
    limit: result.limit,
    observed: result.observed,
    code: step?.code ?? null,
    signal: step?.signal ?? null,
    stdout: base64(step?.stdout),
    stderr: base64(step?.stderr),
    artifacts: files.map(({ path, content }) => [path, content.byteLength, base64(content)]),
    skipped: result.skipped,
    class: result.class,
    wall_ms: step?.wallMs ?? 0,
    cpu_ms: step?.cpuMs ?? null,
  };
}

function base64(bytes: Uint8Array = new Uint8Array()): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
