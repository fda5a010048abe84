import { setTimeout as pause } from "node:timers/promises";
import type { Crew } from "./crew.ts";
import type { Ground } from "./ground.ts";
import type { Load } from "./load.ts";
import type { Harm } from "./plan.ts";

/** What harm was done, counted when it was: a blow that hit nobody does not count. */
export type Done = Record<Harm["kind"], number> & { dropped: number }; // dropped: connections, by the server or the network

/** Whom the harm is done to. */
export type Victims = { crew: Crew; ground: Ground; load: Load };

/**
 * Carries out a plan, blow by blow at its time, for its `seconds` or until `signal` says that it is enough. Blows that
 * last go on beside each other. Throws when the database does not come back.
 */
export async function harm(
  plan: Harm[],
  victims: Victims,
  { seconds, signal }: { seconds: number; signal: AbortSignal },
): Promise<Done> {
  const none = { kill: 0, leave: 0, stop: 0, restart: 0, crash: 0, terminate: 0, cut: 0, deaf: 0, poison: 0 };
  const done: Done = { ...none, dropped: 0 };
  const began = performance.now();
  const lasting: Promise<void>[] = [];
  const until = (atMs: number) =>
    pause(Math.max(0, atMs - (performance.now() - began)), undefined, { signal }).catch(() => {}); // enough is enough
  for (const blow of plan) {
    await until(blow.atMs);
    if (signal.aborted) break;
    lasting.push(
      strike(blow, victims).then((hit) => {
        if (hit > 0) done[blow.kind] += 1;
        if (blow.kind === "terminate" || blow.kind === "cut") done.dropped += hit;
      }),
    );
  }
  await until(seconds * 1000);
  await Promise.all(lasting);
  return done;
}

/** One blow; answers how many it hit. */
async function strike(blow: Harm, { crew, ground, load }: Victims): Promise<number> {
  switch (blow.kind) {
    case "kill":
      return Number(crew.signal(blow.worker, "SIGKILL"));
    case "leave":
      return Number(crew.signal(blow.worker, "SIGTERM"));
    case "stop":
      return Number(await crew.stop(blow.worker, blow.forMs));
    case "restart":
      await ground.restart("stop");
      return 1;
    case "crash":
      await ground.restart("kill");
      return 1;
    case "terminate":
      return ground.terminate(blow.share).catch(() => 0); // there is no database to ask just now
    case "cut":
      return ground.wire.cut(blow.share);
    case "deaf":
      crew.deafen(true);
      await pause(blow.forMs);
      crew.deafen(false);
      return 1;
    case "poison":
      load.poison();
      return 1;
  }
}
