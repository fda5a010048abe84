import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { Failure } from "../../src/contracts/failure.ts";
import { type Errand, Told } from "./errand.ts";

/** One worker process. */
export type Hand = {
  /** When the message's handler began, in nanoseconds of the shared clock. Throws when it does not within `ms`. */
  began(n: number, ms: number): Promise<bigint>;
  kill(): Promise<void>; // SIGKILL
};

/** Starts a worker process and waits until it says that it works. */
export async function hireHand(errand: Errand): Promise<Hand> {
  const child = fork(join(import.meta.dirname, "worker.js"), { execArgv: [], env: {}, stdio: ["ignore", 2, 2, "ipc"] });
  const known = new Map<number, bigint>();
  const waiting = new Map<number, (at: bigint) => void>();
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  };
  const ready = new Promise<void>((resolve, reject) => {
    child.on("message", (message) => {
      const told = Told.parse(message);
      if ("ready" in told) return resolve();
      const at = BigInt(told.at);
      known.set(told.n, at);
      waiting.get(told.n)?.(at);
    });
    child.once("error", reject);
    child.once("exit", () => reject(new Failure("internal", "a worker ended before it worked")));
  });
  child.send(errand);
  await ready;
  return {
    kill,
    began(n, ms) {
      const at = known.get(n);
      if (at !== undefined) return Promise.resolve(at);
      return new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Failure("internal", `message ${n} did not begin in ${ms} ms`)), ms);
        waiting.set(n, (begun) => {
          clearTimeout(late);
          resolve(begun);
        });
      });
    },
  };
}
