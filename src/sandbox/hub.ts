import type { WebSocket } from "ws";
import { z } from "zod";
import { asFailure, Failure } from "../contracts/failure.ts";
import { type Hello, type HubFrame, protocolVersion, WorkerFrame } from "../contracts/frame.ts";
import type { Log } from "../contracts/log.ts";
import { type FileSource, RunHead, type RunRequest, type SandboxRun } from "../contracts/sandbox.ts";
import { choose, refusalOf } from "./choose.ts";
import { keptName } from "./depot.ts";
import { type Dialled, type KeyOf, knowing, openGate } from "./gate.ts";
import { beginRun, type GivenRun } from "./given.ts";
import { fitting, keptBefore, openInstalls } from "./holders.ts";
import { type Link, maxFrameBytes, openLink } from "./link.ts";

/** What a hub needs. Times in milliseconds. */
export type HubOptions = {
  host: string;
  port: number; // 0: any free one
  token: string | null; // what a worker must present, or
  keyOf?: KeyOf; // a key of its own
  tls?: { cert: string; key: string } | null; // PEM
  log: Log;
  waitMs?: number; // how long a run waits for a slot
  pingMs?: number;
};

/** A connected worker, as it last described itself. `class` null: it refuses work, `why` says the reason. */
export type HubWorker = Pick<Hello, "class" | "why" | "slots" | "free" | "profiles" | "promises"> & {
  id: string;
  key: string; // the name of the key it came with
};

/** Where sandbox workers dial in. */
export type Hub = {
  port: number;
  run: SandboxRun;
  workers(): HubWorker[];
  checkKeys(): Promise<void>; // whose key was revoked must leave
  close(): Promise<void>;
};

type Connected = {
  hello: Hello;
  from: Dialled;
  free: number;
  keeps: ReadonlySet<string> | null; // by their names; null: it keeps no dependencies
  link: Link<HubFrame>;
  runs: Map<number, GivenRun>;
  lastRun: number;
};

/** Opens a hub. Throws `config_invalid` when it cannot listen there. */
export async function openHub(options: HubOptions): Promise<Hub> {
  const { host, port, token, tls = null, log, waitMs = 20_000, pingMs = 2000 } = options;
  const keyOf = knowing(token, options.keyOf);
  const connected = new Set<Connected>();
  const waiting = new Set<() => void>(); // runs that look for a slot, in the order they came
  let closed = false;
  const changed = () => {
    for (const wake of [...waiting]) wake();
  };

  function welcome(socket: WebSocket, from: Dialled): void {
    let worker: Connected | null = null;
    const late = setTimeout(() => link.close("no hello came"), 5 * pingMs);
    const link = openLink<WorkerFrame, HubFrame>(socket, {
      accepts: WorkerFrame,
      ping: () => ({ type: "ping" }),
      pingMs,
      onFrame(frame) {
        if (frame.type === "hello") {
          if (worker) return link.close("a second hello");
          if (frame.version !== protocolVersion) return link.close(`this hub speaks version ${protocolVersion}`);
          clearTimeout(late);
          const keeps = frame.keeps ? new Set(frame.keeps) : null;
          worker = { hello: frame, from, free: frame.free, keeps, link, runs: new Map(), lastRun: 0 };
          connected.add(worker);
          const { worker: name, class: given, why, slots } = frame;
          const fact = { worker: name, class: given, why, slots, key: from.key, from: from.address };
          log.info(fact, "a sandbox worker has come");
          return changed();
        }
        if (!worker) return link.close("no hello came first");
        hear(worker, frame);
      },
      onChunk(chunk) {
        const given = worker?.runs.get(chunk.run);
        if (given) return given.onChunk(chunk);
        log.warn({ worker: worker?.hello.worker, run: chunk.run }, "bytes came for a run that was never given");
      },
      onEnd(why) {
        clearTimeout(late);
        if (!worker) return log.warn({ from: from.address, why }, "a sandbox worker left before it said who it is");
        connected.delete(worker);
        log.info({ worker: worker.hello.worker, why }, "a sandbox worker has left");
        for (const given of worker.runs.values()) given.onLost(why);
        changed();
      },
    });
  }

  function hear(worker: Connected, frame: Exclude<WorkerFrame, Hello>): void {
    if (frame.type === "ping") {
      worker.free = frame.free ?? worker.free;
      if (worker.free > 0) changed();
      return;
    }
    if (frame.type === "keeps") {
      worker.keeps = new Set(frame.keeps);
      changed();
      return;
    }
    const given = worker.runs.get(frame.run);
    if (!given) {
      const fact = { worker: worker.hello.worker, run: frame.run, type: frame.type };
      log.warn(fact, "a word came for a run that was never given");
    } else if (frame.type === "accept") given.onAccept();
    else if (frame.type === "ack") given.onAck(frame.bytes);
    else {
      worker.runs.delete(frame.run);
      const busy = frame.type === "error" && frame.code === "busy";
      worker.free = busy ? 0 : Math.min(worker.hello.slots, worker.free + 1);
      if (frame.type === "result") given.onResult(frame);
      else given.onError(frame.code, frame.message);
      changed();
    }
  }

  const installs = openInstalls();
  const run: SandboxRun = (request, options) => {
    if (!request.keep) return give(request, options);
    const name = keptName(request.tenant, request.keep.key);
    const { signal } = options;
    return installs(name, { find: () => keptBefore(connected, name), install: () => give(request, options), signal });
  };

  const give: SandboxRun = async (request, { signal, onOutput }) => {
    const head = headFor(request);
    const deadline = performance.now() + waitMs;
    for (;;) {
      signal.throwIfAborted();
      if (closed) throw new Failure("sandbox_unavailable", "this hub is closing");
      const able = fitting([...connected], head);
      const worker = choose(able, head.profile);
      if (!worker) {
        const leftMs = deadline - performance.now();
        if (leftMs <= 0) throw refusalOf(head.uses ? able : [...connected], head.profile, waitMs);
        await change(waiting, leftMs, signal);
        continue;
      }
      worker.free--;
      const number = ++worker.lastRun;
      const given = beginRun({
        number,
        head,
        request,
        link: worker.link,
        worker: worker.hello.worker,
        onOutput,
        signal,
      });
      worker.runs.set(number, given);
      const result = await given.result;
      if (result !== "elsewhere") return result;
    }
  };

  /** What cannot be is told to the log too, with its trace. */
  function headFor(request: RunRequest): RunHead {
    try {
      return headOf(request);
    } catch (thrown) {
      log.warn(
        { trace_id: request.traceId, tenant: request.tenant, reason: asFailure(thrown).message },
        "a run was refused",
      );
      throw thrown;
    }
  }

  const server = openGate({ keyOf, tls, log, onOpen: welcome });
  const address = await new Promise<ReturnType<typeof server.address>>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(
        new Failure("config_invalid", `the sandbox hub cannot listen on ${host}:${port}: ${cause.message}`, { cause }),
      ),
    );
    server.listen(port, host, () => resolve(server.address()));
  });
  return {
    port: typeof address === "object" && address ? address.port : port,
    run,
    workers: () =>
      [...connected].map(({ hello, free, from: { key } }) => {
        const { worker: id, class: name, why, slots, profiles, promises } = hello;
        return { id, key, class: name, why, slots, free, profiles, promises };
      }),
    async checkKeys() {
      for (const { link, from } of [...connected]) {
        if ((await keyOf(from.sha256)) === null) link.close("its key was revoked");
      }
    },
    async close() {
      closed = true;
      changed();
      for (const { link } of connected) link.close("the hub is closing");
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

/** The request as a worker must get it. Throws `invalid_request` naming what is wrong. */
function headOf({ traceId, tenant, profile, intent, files, steps, collect, limits, ...deps }: RunRequest): RunHead {
  const parsed = RunHead.safeParse({
    trace_id: traceId,
    tenant,
    profile,
    ...(intent !== undefined && { intent }),
    files: Object.entries(files).map(([path, content]) => ({ path, bytes: bytesOf(content) })),
    steps,
    collect,
    ...(limits && { limits }),
    ...(deps.keep && { keep: deps.keep }),
    ...(deps.uses && { uses: deps.uses }),
  });
  if (!parsed.success) {
    const field = parsed.error.issues[0]?.path.join(".");
    throw new Failure("invalid_request", `the run cannot be: ${z.prettifyError(parsed.error).slice(0, 500)}`, {
      field,
    });
  }
  if (Buffer.byteLength(JSON.stringify(parsed.data)) > maxFrameBytes / 2) {
    throw new Failure("invalid_request", "the run has too many files with too long names", { field: "files" });
  }
  return parsed.data;
}

/** Until something changes, the time is up, or nobody wants to know any more. */
function change(waiting: Set<() => void>, timeMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      waiting.delete(wake);
      signal.removeEventListener("abort", wake);
      resolve();
    };
    const timer = setTimeout(wake, timeMs);
    waiting.add(wake);
    signal.addEventListener("abort", wake);
  });
}

function bytesOf(content: Uint8Array | FileSource): number {
  return content instanceof Uint8Array ? content.byteLength : content.bytes;
}
