import { asFailure } from "../contracts/failure.ts";
import type { WorkerFrame } from "../contracts/frame.ts";
import type { Log } from "../contracts/log.ts";
import type { RunHead } from "../contracts/sandbox.ts";
import { slices, type WireChunk } from "./chunk.ts";
import { openCredit, openReceipt } from "./credit.ts";
import type { Ground } from "./ground.ts";
import { openInbox } from "./inbox.ts";
import type { Link } from "./link.ts";
import { carryOut, type Outcome } from "./run.ts";

/** A run that this worker has taken: what its hub says of it is called here. */
export type TakenRun = {
  answered: Promise<void>; // the hub has its answer; never rejects
  over: Promise<void>; // and its box is gone; never rejects
  onAck(bytes: number): void;
  onInput(chunk: WireChunk): void;
  cancel(why: string): void;
};

export type Taking = {
  ground: Ground;
  number: number; // of the run on this connection
  head: RunHead;
  link: Link<WorkerFrame>;
  log: Log;
};

/** Takes a run: carries it out and tells its hub what it prints, what it leaves and how it ends. */
export function takeRun({ ground, number, head, link, log }: Taking): TakenRun {
  const credit = openCredit();
  const controller = new AbortController();
  const inbox = openInbox(openReceipt((bytes) => link.send({ type: "ack", run: number, bytes })));
  const fact = { trace_id: head.trace_id, tenant: head.tenant, profile: head.profile };

  function cancel(why: string): void {
    if (controller.signal.aborted) return;
    controller.abort(new Error(why));
    credit.close();
    inbox.end();
  }

  async function send(kind: WireChunk["kind"], index: number, bytes: Uint8Array): Promise<void> {
    for (const slice of slices(bytes)) {
      await credit.spend(slice.length);
      if (controller.signal.aborted) return;
      link.sendChunk({ kind, run: number, index, bytes: slice });
    }
  }

  link.send({ type: "accept", run: number });
  const { outcome: coming, gone } = carryOut(ground, {
    head,
    pieces: inbox.pieces,
    onOutput: ({ step, stream, bytes }) => send(stream, step, bytes),
    onRefused: (refusal) => log.warn({ ...fact, ...refusal }, "a box reached for what it may not"),
    signal: controller.signal,
  });

  async function answer(): Promise<void> {
    const outcome = await coming;
    for (const [index, { content }] of outcome.files.entries()) await send("file", index, content);
    controller.signal.throwIfAborted();
    link.send(frameOf(number, outcome));
    const codes = outcome.steps.map(({ code }) => code);
    log.info({ ...fact, class: outcome.class, reason: outcome.reason, codes }, "ran");
  }

  function refuse(thrown: unknown): void {
    const { code, message } = asFailure(thrown);
    const told = code === "invalid_request" || code === "sandbox_unavailable" ? code : "internal";
    const isCancelled = controller.signal.aborted;
    link.send({
      type: "error",
      run: number,
      code: isCancelled ? "cancelled" : told,
      message: message.slice(0, 2000),
    });
    const reason = { ...fact, code, reason: message };
    if (isCancelled) log.info(reason, "was cancelled");
    else log.warn(reason, "could not be run");
  }

  return {
    answered: answer().catch(refuse),
    over: gone.catch((thrown) => log.error({ ...fact, reason: asFailure(thrown).message }, "a box left something")),
    onAck: (bytes) => credit.give(bytes),
    onInput({ index, bytes }) {
      try {
        inbox.put({ file: index, bytes });
      } catch (thrown) {
        cancel(asFailure(thrown).message);
      }
    },
    cancel,
  };
}

function frameOf(run: number, outcome: Outcome): WorkerFrame {
  const { class: name, reason, also, limit, observed, maxAttempts, steps, files, skipped, kept } = outcome;
  return {
    type: "result",
    run,
    class: name,
    reason,
    also,
    limit,
    observed,
    max_attempts: maxAttempts,
    steps: steps.map(({ name: step, code, signal, wallMs, cpuMs }) => ({
      name: step,
      code,
      signal,
      wall_ms: wallMs,
      cpu_ms: cpuMs,
    })),
    files: files.map(({ path, content }) => ({ path, bytes: content.byteLength })),
    skipped,
    ...(kept && { kept: { done: kept.done, why: kept.why } }),
  };
}
