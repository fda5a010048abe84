import { hostname } from "node:os";
import type { WebSocket } from "ws";
import { asFailure } from "../contracts/failure.ts";
import { limitsFor, type SandboxLimits } from "../contracts/limits.ts";
import type { Log } from "../contracts/log.ts";
import { installProfiles } from "../contracts/sandbox.ts";
import { sweepCgroups } from "./cgroup.ts";
import { type Depot, leaveDepot, openDepot } from "./depot.ts";
import { dial } from "./dial.ts";
import { sweepFolders } from "./folder.ts";
import type { Ground } from "./ground.ts";
import { mostBoxes, newIdentity } from "./identity.ts";
import { chooseGround } from "./selftest.ts";
import { type SandboxWorkerFacts, type Service, serve } from "./serve.ts";
import { openSlots } from "./slots.ts";

/** All that a sandbox worker is told: it holds no key to anything else. */
export type SandboxWorkerOptions = {
  hubs: string[]; // ws:// or wss://
  token: string;
  ca?: string; // PEM of who vouches for a hub with wss://; left out: whom this system trusts
  limits: SandboxLimits;
  slots: number; // runs at one time, 1..64
  warm?: number | null; // boxes that wait at one time; left out: three for each slot, 6 at least
  log: Log;
  searchPath?: string; // where programs of the profiles are looked for, after /usr
  pingMs?: number;
  depot?: { folder: string; bytes: number } | null; // where dependencies are kept, and how much of them; left out: nowhere
};

/** A sandbox worker: `ready` once it knows what it is and dials. */
export type SandboxWorker = { ready: Promise<SandboxWorkerFacts>; stop(): Promise<void> };

/**
 * Starts a sandbox worker: sweeps up after workers that are gone, proves to itself how well it can isolate, dials its
 * hubs and carries out what they give, until it is stopped. One that cannot isolate dials all the same, says so, and
 * takes nothing.
 */
export function startSandboxWorker(options: SandboxWorkerOptions): SandboxWorker {
  const { hubs, token, ca, limits, slots: count, warm: waiting = null, log, searchPath = "", pingMs = 2000 } = options;
  const worker = `${hostname()}-${newIdentity()}`;
  const services = new Set<Service>();
  const slots = openSlots(count, () => {
    for (const service of services) service.tellFree();
  });
  let dials: { stop(): void }[] = [];
  let ground: Ground | null = null;
  let depot: Depot | null = null;
  let stopping = false;

  async function start(): Promise<SandboxWorkerFacts> {
    await sweep(log);
    depot = depotFor(options, () => {
      for (const service of services) service.tellKeeps();
    });
    const choice = await chooseGround(limits, { searchPath, depot });
    ground = choice.ground;
    const facts: SandboxWorkerFacts = {
      worker,
      class: ground?.class ?? null,
      why: choice.why,
      profiles: ground?.profiles ?? [],
      lacks: ground?.lacks ?? {},
      slots: ground ? count : 0,
    };
    if (ground) warm(ground, waiting ?? Math.max(6, 3 * count), count);
    if (ground) log.info(facts, "boxes hold: this worker takes work");
    else log.error(facts, "this machine cannot isolate: this worker refuses all work");
    if (!stopping)
      dials = hubs.map((hub) =>
        dial(hub, { token, ...(ca !== undefined && { ca }), log, onOpen: (socket) => greet(socket, facts) }),
      );
    return facts;
  }

  function greet(socket: WebSocket, facts: SandboxWorkerFacts): void {
    const service = serve(socket, { facts, ground, slots, pingMs, log }, () => services.delete(service));
    services.add(service);
  }

  const ready = start();
  return {
    ready,
    async stop() {
      stopping = true;
      await ready.catch(() => {});
      for (const each of dials) each.stop();
      await Promise.all([...services].map((service) => service.stop("this worker is stopping")));
      await ground?.close();
      if (depot) leaveDepot(depot);
    },
  };
}

/** A worker that cannot keep dependencies does all else. */
function depotFor({ depot, log }: SandboxWorkerOptions, changed: () => void): Depot | null {
  if (!depot || process.platform !== "linux") return null;
  try {
    return openDepot(depot.folder, { bytes: depot.bytes, changed });
  } catch (thrown) {
    log.warn({ folder: depot.folder, reason: asFailure(thrown).message }, "dependencies cannot be kept here");
    return null;
  }
}

/** Has a box ready for each profile, as most runs ask for it, and later for what is asked for. */
function warm({ file, profiles, berths }: Ground, wish: number, slots: number): void {
  const most = Math.min(wish, Math.max(0, mostBoxes - 2 * slots)); // the others run, or end
  const wants = profiles
    .filter((name) => !installProfiles.includes(name))
    .flatMap((name) => {
      const profile = file.profiles[name];
      return profile ? [{ profile, limits: limitsFor(file, name) }] : [];
    });
  berths.warm(wants.slice(0, most), most);
}

/** Takes away what workers that were killed have left: their boxes' accounts and their folders. Their mounts end with them. */
async function sweep(log: Log): Promise<void> {
  try {
    const cgroups = process.getuid?.() === 0 ? await sweepCgroups() : 0;
    const folders = process.platform === "linux" ? sweepFolders() : 0;
    if (cgroups + folders > 0) log.info({ cgroups, folders }, "swept up after workers that are gone");
  } catch (thrown) {
    log.warn({ reason: asFailure(thrown).message }, "could not sweep up after workers that are gone");
  }
}
