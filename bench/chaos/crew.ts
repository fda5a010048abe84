import { type ChildProcess, fork } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Errand, Hearing } from "./errand.ts";

/** The workers of a run, each a process. One that ends, for whatever reason, is started again until the crew is gone. */
export type Crew = {
  signal(place: number, signal: NodeJS.Signals): boolean; // false: nobody was there
  stop(place: number, forMs: number): Promise<boolean>; // SIGSTOP, and SIGCONT later
  deafen(deaf: boolean): void;
  deaths(): number; // processes that ended so far
  disband(): Promise<void>; // SIGKILL for all
};

export type Hiring = Omit<Errand, "name" | "deaf"> & { workers: number; folder: string };

/** How long a place stays empty after its worker died. */
const emptyMs = 200;

/** Starts `workers` workers; each life has a name and a log of its own in `folder`. */
export function hire({ workers, folder, ...errand }: Hiring): Crew {
  const places: (ChildProcess | null)[] = Array.from({ length: workers }, () => null);
  let lives = 0;
  let deaths = 0;
  let deaf = false;
  let disbanded = false;

  function start(place: number): void {
    if (disbanded) return;
    lives += 1;
    const name = `worker-${place}-${lives}`;
    const log = openSync(join(folder, `${name}.log`), "a");
    const child = fork(join(import.meta.dirname, "worker.js"), { stdio: ["ignore", log, log, "ipc"], execArgv: [] });
    closeSync(log);
    places[place] = child;
    tell(child, { ...errand, name, deaf });
    child.on("error", () => {}); // it could not be told or signalled: it is gone, and `exit` follows
    child.once("exit", async () => {
      deaths += 1;
      places[place] = null;
      await pause(emptyMs);
      start(place);
    });
  }

  function signal(place: number, name: NodeJS.Signals): boolean {
    return places[place]?.kill(name) ?? false;
  }

  for (const place of places.keys()) start(place);
  return {
    signal,
    async stop(place, forMs) {
      const child = places[place];
      if (!child?.kill("SIGSTOP")) return false;
      await pause(forMs);
      child.kill("SIGCONT"); // it may have been killed meanwhile
      return true;
    },
    deafen(now) {
      deaf = now;
      for (const child of places) if (child) tell(child, { deaf });
    },
    deaths: () => deaths,
    async disband() {
      disbanded = true;
      const gone = places.map((child) => child && new Promise((resolve) => child.once("exit", resolve)));
      for (const child of places) child?.kill("SIGKILL");
      await Promise.all(gone);
    },
  };
}

function tell(child: ChildProcess, message: Errand | Hearing): void {
  child.send(message, () => {}); // one that is dying does not need to know
}
