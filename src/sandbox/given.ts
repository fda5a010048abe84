import { Failure } from "../contracts/failure.ts";
import type { HubFrame, Result } from "../contracts/frame.ts";
import type { Chunk, FileSource, RunHead, RunRequest, RunResult } from "../contracts/sandbox.ts";
import { slices, type WireChunk } from "./chunk.ts";
import { openCredit, openReceipt } from "./credit.ts";
import type { Link } from "./link.ts";

/** A run that was given to a worker, as the hub follows it. What the worker says of it is called here. */
export type GivenRun = {
  result: Promise<RunResult | "elsewhere">; // "elsewhere": this worker did not take it, another may
  onAccept(): void;
  onAck(bytes: number): void;
  onChunk(chunk: WireChunk): void;
  onResult(result: Result): void;
  onError(code: "busy" | "cancelled" | "invalid_request" | "sandbox_unavailable" | "internal", message: string): void;
  onLost(why: string): void;
};

export type Giving = {
  number: number; // of the run on this connection
  head: RunHead;
  request: RunRequest;
  link: Link<HubFrame>;
  worker: string;
  onOutput: ((chunk: Chunk) => void) | undefined;
  signal: AbortSignal;
};

const mostBytes = 1_073_741_824; // of one run's output and files together, whatever a worker says

/** Gives a run to a worker and follows it to its end. */
export function beginRun({ number, head, request, link, worker, onOutput, signal }: Giving): GivenRun {
  const credit = openCredit();
  const receipt = openReceipt((bytes) => link.send({ type: "ack", run: number, bytes }));
  const printed = { stdout: head.steps.map((): Buffer[] => []), stderr: head.steps.map((): Buffer[] => []) };
  const files = new Map<number, Buffer[]>();
  let bytesIn = 0;
  let accepted = false;
  let over = false;

  let resolve: (result: RunResult | "elsewhere") => void;
  let reject: (reason: unknown) => void;
  const result = new Promise<RunResult | "elsewhere">((yes, no) => {
    resolve = yes;
    reject = no;
  });

  function end(): boolean {
    if (over) return false;
    over = true;
    credit.close();
    signal.removeEventListener("abort", cancel);
    return true;
  }
  function fail(reason: unknown): void {
    if (end()) reject(reason);
  }
  function cancel(): void {
    link.send({ type: "cancel", run: number });
    fail(signal.reason);
  }

  async function sendFiles(): Promise<void> {
    for (const [index, { path }] of head.files.entries()) {
      for await (const piece of piecesOf(request.files[path])) {
        for (const bytes of slices(piece)) {
          await credit.spend(bytes.length);
          if (over) return;
          link.sendChunk({ kind: "input", run: number, index, bytes });
        }
      }
    }
  }

  function take({ kind, index, bytes }: WireChunk): void {
    bytesIn += bytes.length;
    const list = kind === "stdout" || kind === "stderr" ? printed[kind][index] : fileAt(kind, index);
    if (!list || bytesIn > mostBytes) {
      link.send({ type: "cancel", run: number });
      fail(new Failure("worker_lost", `the sandbox worker ${worker} sent what nobody asked for`));
      return;
    }
    list.push(bytes);
    receipt(bytes.length);
    const step = head.steps[index]?.name;
    if (onOutput && step !== undefined && (kind === "stdout" || kind === "stderr"))
      onOutput({ step, stream: kind, bytes });
  }
  function fileAt(kind: WireChunk["kind"], index: number): Buffer[] | undefined {
    if (kind !== "file" || index >= 100_000) return undefined;
    const list = files.get(index) ?? [];
    files.set(index, list);
    return list;
  }

  signal.addEventListener("abort", cancel);
  link.send({ type: "run", run: number, head });
  return {
    result,
    onAccept() {
      if (accepted || over) return;
      accepted = true;
      sendFiles().catch((thrown) => {
        link.send({ type: "cancel", run: number });
        fail(thrown);
      });
    },
    onAck: (bytes) => credit.give(bytes),
    onChunk(chunk) {
      if (over) return; // cancelled: the rest of it is on its way
      try {
        take(chunk);
      } catch (thrown) {
        link.send({ type: "cancel", run: number });
        fail(thrown);
      }
    },
    onResult(frame) {
      const incomplete = frame.files.find(({ bytes }, index) => lengthOf(files.get(index)) !== bytes);
      if (incomplete) return fail(new Failure("worker_lost", `${worker} lost a part of ${incomplete.path} on the way`));
      if (end()) resolve(resultOf(frame, printed, files));
    },
    onError(code, message) {
      if (code === "busy" && end()) return resolve("elsewhere");
      if (code === "cancelled") return fail(new Failure("worker_lost", `${worker} gave the run up: ${message}`));
      if (code !== "busy") fail(new Failure(code, message, { worker }));
    },
    onLost(why) {
      if (!accepted && end()) return resolve("elsewhere");
      fail(new Failure("worker_lost", `the sandbox worker ${worker} was lost: ${why}`, { worker }));
    },
  };
}

/** The bytes of a file, wherever they are. */
function piecesOf(file: Uint8Array | FileSource = new Uint8Array()): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  return file instanceof Uint8Array ? [file] : file.open();
}

type Printed = { stdout: Buffer[][]; stderr: Buffer[][] };

/** The answer of the wire with its bytes in their places. */
function resultOf(frame: Result, printed: Printed, files: Map<number, Buffer[]>): RunResult {
  const { class: name, reason, also, limit, observed, skipped, max_attempts: maxAttempts, kept } = frame;
  return {
    class: name,
    reason,
    also,
    limit,
    observed,
    maxAttempts,
    skipped,
    kept: kept && { ...kept, cached: false },
    steps: frame.steps.map(({ name: step, code, signal, wall_ms: wallMs, cpu_ms: cpuMs }, index) => ({
      name: step,
      code,
      signal,
      wallMs,
      cpuMs,
      stdout: Buffer.concat(printed.stdout[index] ?? []),
      stderr: Buffer.concat(printed.stderr[index] ?? []),
    })),
    files: frame.files.map(({ path }, index) => ({ path, content: Buffer.concat(files.get(index) ?? []) })),
  };
}

function lengthOf(parts: Buffer[] = []): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}
