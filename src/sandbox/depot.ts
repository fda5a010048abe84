import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  utimesSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Failure } from "../contracts/failure.ts";
import { copyTree } from "./copy.ts";
import { isAlive, newIdentity } from "./identity.ts";

/** What a run uses of a depot. It is not thrown away before `done`. */
export type Used = {
  entry: string; // its folder in the depot
  names: string[]; // what lies in its node_modules; empty where it has none
  done(): void;
};

/** The folders that installs have left on this worker, each for one tenant and one key. */
export type Depot = {
  folder: string;
  names(): string[]; // of all that is kept
  keep(name: string, wish: { from: string; folder: string; most: { bytes: number; entries: number } }): Promise<void>;
  use(name: string): Used | null;
};

type Entry = { bytes: number; users: number };

/** What a tenant's key is called in a depot and on the wire. Nobody gets another tenant's by knowing its key. */
export function keptName(tenant: string, key: string): string {
  return createHash("sha256")
    .update(JSON.stringify([tenant, key]))
    .digest("hex");
}

const mostEntries = 1000;
const whole = /^([0-9a-f]{64})-(\d{1,15})$/; // its name and its bytes: what is called so was renamed when it was complete

/**
 * Opens this worker's depot below `parent`, with what workers that are gone have left in theirs; what they had not
 * completed is removed. It holds up to `bytes`: for what is new, that goes which was not used for the longest time, but
 * nothing that is in use. `changed` hears when what is kept is not the same any more.
 *
 * Throws `sandbox_unavailable` when the folder is somebody else's, and from `keep` `invalid_request` with the reason why a
 * folder cannot be kept.
 */
export function openDepot(parent: string, { bytes: most, changed }: { bytes: number; changed(): void }): Depot {
  const folder = join(own(parent), newIdentity());
  mkdirSync(folder);
  chmodSync(folder, 0o711); // users of boxes reach what they are shown, and cannot list it
  const entries = new Map<string, Entry>(); // the one that was used last comes last
  let made = 0;

  for (const { name, bytes, from } of inherited(parent)) {
    const to = entries.has(name) ? partial() : at(name, bytes);
    try {
      renameSync(from, to);
    } catch {
      continue; // another worker that starts has taken it
    }
    if (to.startsWith(join(folder, "partial-"))) rmSync(to, { recursive: true, force: true });
    else entries.set(name, { bytes, users: 0 });
  }
  for (const name of gone(parent)) rmSync(join(parent, name), { recursive: true, force: true });
  makeRoom(0);

  function at(name: string, bytes: number): string {
    return join(folder, `${name}-${bytes}`);
  }

  function partial(): string {
    return join(folder, `partial-${++made}`);
  }

  /** Throws away what was not used for the longest time. Answers whether so many bytes fit. */
  function makeRoom(bytes: number): boolean {
    let total = [...entries.values()].reduce((sum, entry) => sum + entry.bytes, 0);
    for (const [name, entry] of entries) {
      if (total + bytes <= most && entries.size < mostEntries) break;
      if (entry.users > 0) continue;
      total -= entry.bytes;
      entries.delete(name);
      const away = partial();
      renameSync(at(name, entry.bytes), away);
      rm(away, { recursive: true, force: true }).catch(() => {}); // the next that adopts this depot sweeps it
    }
    return total + bytes <= most;
  }

  function touch(name: string, entry: Entry): void {
    entries.delete(name);
    entries.set(name, entry);
    const seconds = (performance.timeOrigin + performance.now()) / 1000;
    utimesSync(at(name, entry.bytes), seconds, seconds); // the order outlives this worker
  }

  return {
    folder,
    names: () => [...entries.keys()],
    async keep(name, { from, folder: kept, most: limits }) {
      const place = partial();
      try {
        mkdirSync(place);
        chmodSync(place, 0o755);
        const bytes = await copyTree(from, join(place, kept), limits);
        if (entries.has(name)) return; // somebody was faster: both are the same
        const fits = makeRoom(bytes);
        if (fits) {
          renameSync(place, at(name, bytes));
          touch(name, { bytes, users: 0 });
        }
        changed();
        if (!fits)
          throw new Failure("invalid_request", `${bytes} bytes do not fit into this worker's depot of ${most}`);
      } finally {
        await rm(place, { recursive: true, force: true });
      }
    },
    use(name) {
      const entry = entries.get(name);
      if (!entry) return null;
      touch(name, entry);
      entry.users++;
      const path = at(name, entry.bytes);
      let isOver = false;
      return {
        entry: `${name}-${entry.bytes}`,
        names: namesIn(join(path, "node_modules")),
        done() {
          if (!isOver) entry.users--;
          isOver = true;
        },
      };
    },
  };
}

/** The folder of all depots, for this user alone. */
function own(parent: string): string {
  mkdirSync(dirname(parent), { recursive: true });
  if (!existsSync(parent)) mkdirSync(parent, { mode: 0o700 });
  const found = lstatSync(parent);
  if (found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0) return parent;
  throw new Failure("sandbox_unavailable", `${parent} is not a folder of this user alone: name another one`);
}

/** The depots of workers that are gone. */
function gone(parent: string): string[] {
  return readdirSync(parent).filter((name) => /^\d+-\d+-\d+$/.test(name) && !isAlive(name));
}

/** What they have kept, that first which was not used for the longest time. */
function inherited(parent: string): { name: string; bytes: number; from: string }[] {
  return gone(parent)
    .flatMap((depot) => namesIn(join(parent, depot)).map((entry) => ({ entry, from: join(parent, depot, entry) })))
    .flatMap(({ entry, from }) => {
      const [, name, bytes] = whole.exec(entry) ?? [];
      const usedAt = lstatSync(from, { throwIfNoEntry: false })?.mtimeMs ?? 0;
      return name === undefined ? [] : [{ name, bytes: Number(bytes), from, usedAt }];
    })
    .sort((a, b) => a.usedAt - b.usedAt);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Takes a depot away when nothing is in it: a worker that stops leaves the others to the next. */
export function leaveDepot({ folder }: Depot): void {
  try {
    rmdirSync(folder);
  } catch {
    // something is kept
  }
}
