import { Failure } from "../contracts/failure.ts";
import type { Hello } from "../contracts/frame.ts";
import type { RunHead, RunResult } from "../contracts/sandbox.ts";
import { keptName } from "./depot.ts";

/** A worker, and what it keeps; null: nothing, ever. */
export type Holder = { hello: Pick<Hello, "class">; keeps: ReadonlySet<string> | null };

/**
 * Those of the workers that may be given a run, as far as what is kept is concerned. Throws `sandbox_unavailable` when
 * nobody keeps what it uses: whoever asks again installs again.
 */
export function fitting<Worker extends Holder>(workers: Worker[], { tenant, keep, uses }: RunHead): Worker[] {
  if (keep) return workers.filter(({ keeps }) => keeps !== null);
  if (!uses) return workers;
  const name = keptName(tenant, uses.key);
  const holding = workers.filter(({ keeps }) => keeps?.has(name));
  if (holding.length > 0) return holding;
  throw new Failure("sandbox_unavailable", "no connected sandbox worker keeps these dependencies (any more)");
}

/** The answer to an install whose outcome a connected worker keeps; null when none does. */
export function keptBefore(workers: Iterable<Holder>, name: string): RunResult | null {
  for (const { hello, keeps } of workers) {
    if (hello.class !== null && keeps?.has(name)) return { ...nothingRun, class: hello.class };
  }
  return null;
}

const nothingRun: Omit<RunResult, "class"> = {
  reason: null,
  also: [],
  maxAttempts: 1,
  limit: null,
  observed: null,
  steps: [],
  files: [],
  skipped: [],
  kept: { done: true, cached: true, why: null },
};

/** Installs under way, one of a name at a time: who comes later waits, and then finds what the first has left. */
export function openInstalls() {
  const running = new Map<string, Promise<unknown>>();
  return async (
    name: string,
    { find, install, signal }: { find(): RunResult | null; install(): Promise<RunResult>; signal: AbortSignal },
  ): Promise<RunResult> => {
    for (;;) {
      signal.throwIfAborted();
      const found = find();
      if (found) return found;
      const other = running.get(name);
      if (!other) break;
      await orAborted(other, signal);
    }
    const mine = install();
    const over = mine.then(
      () => {},
      () => {},
    );
    running.set(name, over);
    return mine.finally(() => running.delete(name));
  };
}

function orAborted(over: Promise<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      signal.removeEventListener("abort", go);
      resolve();
    };
    signal.addEventListener("abort", go);
    over.then(go);
  });
}
