import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { youngSpace } from "../../src/app/roles.ts";
import { Failure } from "../../src/contracts/failure.ts";
import { Told } from "./errand.ts";
import type { SystemName } from "./system.ts";

/** The worker processes of one measurement. */
export type Hands = {
  pids: number[];
  begun(): number; // messages begun so far by all, late by some milliseconds
  hold(): void; // SIGSTOP: they keep their connections, and do nothing
  go(): void; // SIGCONT
  /** From now on, calls `heard` for each message when its handler begins; `at` in nanoseconds of the shared clock. */
  watch(heard: (n: number, at: bigint) => void): void;
  end(): Promise<void>; // SIGKILL
};

/** Starts `count` workers of a system and waits until each says that it works. */
export async function hireHands(system: SystemName, url: string, count: number): Promise<Hands> {
  const begun = new Map<ChildProcess, number>();
  let heard: ((n: number, at: bigint) => void) | null = null;
  const children = Array.from({ length: count }, () =>
    fork(join(import.meta.dirname, "worker.js"), {
      execArgv: youngSpace, // for every system, as our own workers are started
      env: { NO_LOG_SUCCESS: "1" }, // graphile-worker would print a line a job
      stdio: ["ignore", 2, 2, "ipc"],
    }),
  );
  const ready = children.map(
    (child) =>
      new Promise<void>((resolve, reject) => {
        child.on("message", (message) => {
          const told = Told.parse(message);
          if ("ready" in told) resolve();
          else if ("begun" in told) begun.set(child, told.begun);
          else heard?.(told.n, BigInt(told.at));
        });
        child.once("error", reject);
        child.once("exit", () => reject(new Failure("internal", `a worker of ${system} ended before it was asked to`)));
      }),
  );
  const signal = (name: NodeJS.Signals) => {
    for (const child of children) child.kill(name);
  };
  const end = async () => {
    const gone = children
      .filter((child) => child.exitCode === null && child.signalCode === null)
      .map((child) => once(child, "exit"));
    signal("SIGKILL");
    await Promise.all(gone);
  };

  for (const child of children) child.send({ system, url });
  await Promise.all(ready).catch(async (error) => {
    await end();
    throw error;
  });
  return {
    pids: children.flatMap(({ pid }) => pid ?? []),
    begun: () => [...begun.values()].reduce((sum, some) => sum + some, 0),
    hold: () => signal("SIGSTOP"),
    go: () => signal("SIGCONT"),
    watch(listener) {
      heard = listener;
      for (const child of children) child.send({ watch: true });
    },
    end,
  };
}
