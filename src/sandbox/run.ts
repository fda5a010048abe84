import { Failure } from "../contracts/failure.ts";
import { type Limits, limitsFor } from "../contracts/limits.ts";
import type { RunHead, RunResult, StepResult, ViolationReason } from "../contracts/sandbox.ts";
import { type Berth, endBox, leaveBerth } from "./berth.ts";
import { boxProcesses } from "./cgroup1.ts";
import { collectFiles, hasFullFile } from "./collect.ts";
import { keepFolder, openBerth } from "./dependencies.ts";
import type { Ground } from "./ground.ts";
import type { Refusal } from "./proxy.ts";
import { type Piece, putFiles } from "./put.ts";
import { openOutlet, runStep } from "./step.ts";
import { openWatch, type Violation } from "./watch.ts";
import { openWayOut, type WayOut } from "./wayout.ts";

/** Output of the step with that number. */
export type Output = { step: number; stream: "stdout" | "stderr"; bytes: Buffer };

/** A run as a worker carries it out. */
export type Wish = {
  head: RunHead;
  pieces: AsyncIterable<Piece>;
  onOutput(output: Output): Promise<void> | void; // the box's stream waits until it is taken
  onRefused?: (refusal: Refusal) => void; // somebody in the box reached for what is not on the list
  signal: AbortSignal; // kills the box; the run then throws the signal's reason
};

/** What came out, except for the output, which was handed on as it came. */
export type Outcome = Omit<RunResult, "steps"> & { steps: Omit<StepResult, "stdout" | "stderr">[] };

/** A run under way: what came of it, and, a little later, that nothing of its box is left. */
export type Carried = { outcome: Promise<Outcome>; gone: Promise<void> };

/**
 * Carries out one run in one box that nobody had before: files in, the steps until one is red or a limit is broken, the
 * box's end, files out. The outcome rejects with Failure `invalid_request` (unknown profile, files that cannot be),
 * `sandbox_unavailable` (no box could be made, or one would not end), or the signal's reason.
 */
export function carryOut(ground: Ground, wish: Wish): Carried {
  let berth: Berth | null = null;
  const outcome = carryOutIn(ground, wish, (taken) => {
    berth = taken;
  });
  const gone = outcome.then(
    () => berth && leaveBerth(berth),
    () => berth && leaveBerth(berth),
  );
  return { outcome, gone: gone.then(() => {}) };
}

async function carryOutIn(ground: Ground, wish: Wish, onBerth: (berth: Berth) => void): Promise<Outcome> {
  const { head, signal } = wish;
  const limits = limitsFor(ground.file, head.profile, { ...head, wish: head.limits });
  const profile = ground.file.profiles[head.profile];
  if (!profile || !ground.profiles.includes(head.profile)) {
    throw new Failure("sandbox_unavailable", `this worker has no programs for the profile '${head.profile}'`);
  }
  const input = head.files.reduce((sum, { bytes }) => sum + bytes, 0);
  if (input > limits.size.input_bytes) {
    const most = limits.size.input_bytes;
    throw new Failure("invalid_request", `the files are ${input} bytes, ${most} are allowed`, { field: "files" });
  }
  signal.throwIfAborted();

  const { berth, lay } = await openBerth(ground, head, { profile, limits });
  onBerth(berth);
  const { box } = berth;
  const abort = () => box.kill();
  signal.addEventListener("abort", abort);
  let out: WayOut | null = null;
  try {
    await unlessAborted(signal, putFiles(box.work, { files: head.files, uid: berth.uid }, wish.pieces));
    lay();
    signal.throwIfAborted();
    out = await openWayOut(ground, box, limits.network);
    const { steps, broken } = await runSteps(berth, { limits, wish, out });
    signal.throwIfAborted();
    const red = steps.some(({ code }) => code !== 0);
    if (red && broken.length === 0 && (await hasFullFile(box.folders, limits))) broken.push(tooLarge(limits));
    const { files, skipped, over } = await collectFiles(box.work, head.collect, limits);
    if (over) broken.push({ reason: "artifact", ...over });
    const kept = red || broken.length > 0 ? undefined : await keepFolder(ground, box, { head, limits });
    const attempts = box.networkAttempts() + out.refused();
    return {
      class: ground.class,
      ...told(broken, attempts > 0 ? ["network"] : []),
      maxAttempts: limits.retry.max_attempts,
      steps,
      files,
      skipped,
      kept,
    };
  } finally {
    signal.removeEventListener("abort", abort);
    out?.close();
  }
}

type Stage = { limits: Limits; wish: Wish; out: WayOut };

/**
 * The steps, one after the other, and the end of the box: it is killed when this answers, and wherever anybody could look
 * at what it left, or a program of its is left in it, nothing of it runs any more.
 */
async function runSteps(berth: Berth, { limits, wish, out }: Stage) {
  const { box, cgroup } = berth;
  const { head, signal, onOutput } = wish;
  const steps: Outcome["steps"] = [];
  const watch = openWatch(box, { cgroup, limits });
  const aborted = whenAborted(signal);
  out.listen((refusal) => {
    wish.onRefused?.(refusal);
    if (limits.network.on_attempt === "fail") watch.report({ reason: "network", ...refusal });
  });
  const left = { stdout: limits.size.stdout_bytes, stderr: limits.size.stderr_bytes };
  let isOver = false;

  async function take(stream: "stdout" | "stderr", bytes: Buffer): Promise<void> {
    if (isOver) return;
    const allowed = bytes.subarray(0, left[stream]);
    left[stream] -= allowed.length;
    if (allowed.length < bytes.length) {
      const limit = limits.size[`${stream}_bytes`];
      watch.report({ reason: "output", limit, observed: limit + bytes.length - allowed.length });
    }
    if (allowed.length === 0 || signal.aborted) return;
    const step = Math.min(steps.length, head.steps.length - 1); // what comes after the last is still of the last
    await Promise.race([onOutput({ step, stream, bytes: allowed }), aborted]);
  }
  const outlets = [
    openOutlet(box.stdout, (bytes) => take("stdout", bytes)),
    openOutlet(box.stderr, (bytes) => take("stderr", bytes)),
  ];
  /** All that was printed has come, and nobody is left who could print or write. */
  async function end(): Promise<void> {
    await endBox(berth, limits.time.grace_ms);
    await Promise.all(outlets.map(({ done }) => done));
  }

  try {
    for (const { name, argv } of head.steps) {
      const startedAt = performance.now();
      const cpuBefore = watch.cpuMs();
      const { code, signal: killer } = await runStep(box, outlets, argv);
      const wallMs = Math.round(performance.now() - startedAt);
      const cpuAfter = watch.look();
      if (killer === "SIGXFSZ") watch.report(tooLarge(limits));
      const cpuMs = cpuBefore === null || cpuAfter === null ? null : Math.round(Math.max(0, cpuAfter - cpuBefore));
      const isRed = code !== 0 || watch.broken.length > 0 || signal.aborted;
      if (isRed) await end(); // what it had printed is still of this step
      steps.push({ name, code, signal: killer, wallMs, cpuMs });
      if (isRed) break;
    }
  } finally {
    watch.close();
    const isAlone = cgroup?.processes() === boxProcesses; // the box itself, waiting for the next step
    if (head.collect.length > 0 || head.keep || !isAlone) await end();
    isOver = true;
    box.kill();
  }
  return { steps, broken: watch.broken };
}

function tooLarge({ size }: Limits): Violation {
  return { reason: "file_size", limit: size.file_bytes, observed: `more than ${size.file_bytes}` };
}

/** The first that fired is the reason; the rest, and what is only recorded, stand beside it. */
function told(
  broken: Violation[],
  recorded: ViolationReason[],
): Pick<RunResult, "reason" | "also" | "limit" | "observed"> {
  const [first, ...rest] = broken;
  const also = new Set([...rest.map(({ reason }) => reason), ...recorded.filter((reason) => reason !== first?.reason)]);
  return {
    reason: first?.reason ?? null,
    also: [...also],
    limit: first?.limit ?? null,
    observed: first?.observed ?? null,
  };
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

async function unlessAborted<Value>(signal: AbortSignal, hope: Promise<Value>): Promise<Value> {
  const aborted = whenAborted(signal).then(() => {
    throw signal.reason;
  });
  return Promise.race([hope, aborted]);
}
