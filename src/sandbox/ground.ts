import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SandboxClass, SandboxLimits } from "../contracts/limits.ts";
import type { Promises } from "../contracts/sandbox.ts";
import type { Berth } from "./berth.ts";
import { openBox } from "./box.ts";
import type { CgroupTree } from "./cgroup.ts";
import { forgetPlace } from "./chain.ts";
import type { Depot } from "./depot.ts";
import { openFolder, readable } from "./folder.ts";
import { mostBoxes, uidOf } from "./identity.ts";
import { openPool, type Pool, type Want } from "./pool.ts";
import { findProgram, type Program } from "./programs.ts";
import { seccompFilter } from "./seccomp.ts";
import { findTools, type Tool, type Tools } from "./tools.ts";
import { openYard, type Yard } from "./yard.ts";

/** What this machine gives to boxes of one class. */
export type Ground = {
  class: SandboxClass;
  file: SandboxLimits;
  profiles: string[]; // those whose programs are all here
  lacks: Record<string, string>; // the others, and what is missing for each
  berths: Pool;
  fresh(want: Want): Promise<Berth>; // a box of its own, of which none is made ready before
  depot: Depot | null; // null: this worker keeps no dependencies
  nsenter: string; // opens the way out of a box that has one
  close(): Promise<void>;
};

/** What each class promises: the kernel holds, or the worker watches. */
export const promises: Record<SandboxClass, Promises> = {
  strict: {
    "time.wall": "held",
    "time.cpu": "watched",
    memory: "held",
    pids: "held",
    disk: "held",
    inodes: "held",
    output: "held",
    file_size: "held",
    network: "held",
    artifact: "held",
  },
  rootless: {
    "time.wall": "held",
    "time.cpu": "watched",
    memory: "watched",
    pids: "held",
    disk: "held",
    inodes: "held",
    output: "held",
    file_size: "held",
    network: "held",
    artifact: "held",
  },
};

export type Laying = { tree: CgroupTree | null; searchPath: string; tools?: Tools; depot?: Depot | null };

/** Lays the ground for boxes. `tree` null makes the rootless class. Throws when this machine lacks something. */
export function openGround(
  file: SandboxLimits,
  { tree, searchPath, tools = findTools(), depot = null }: Laying,
): Ground {
  const programs = new Map<string, Program>();
  for (const name of new Set(Object.values(file.profiles).flatMap((profile) => profile.programs))) {
    const program = findProgram(name, searchPath);
    if (program) programs.set(name, program);
  }
  const lacks = Object.fromEntries(
    Object.entries(file.profiles).flatMap(([name, profile]) => {
      const missing = profile.programs.filter((program) => !programs.has(program));
      return missing.length > 0 ? [[name, `${missing.join(", ")} not installed`]] : [];
    }),
  );
  const filterBytes = seccompFilter(process.arch);
  const folder = openFolder();
  const filter = join(folder.path, "filter");
  readable(() => writeFileSync(filter, filterBytes, { mode: 0o644 }));
  const clear = clearingCommand(tools.found);
  const asRoot = process.getuid?.() === 0;
  const accounts = tree?.version === 1 ? tree.folders : [];
  const numbers = openNumbers();
  const shown = [
    ...[...programs.values()].flatMap((program) => program.shown.map(({ from }) => from)),
    ...Object.values(file.profiles).flatMap(({ binds }) => binds),
  ];
  let yard: Promise<Yard> | null = null;
  let yards = 0;

  /** The yard, or a new one when somebody has ended it. */
  async function livingYard(): Promise<Yard> {
    const known = await yard?.catch(() => null);
    if (known && !known.isEnded()) return known;
    const openFiles = file.maximum.process.open_files;
    const options = {
      tools: tools.found,
      shown,
      depot: depot?.folder ?? null,
      accounts,
      clear,
      openFiles,
    };
    yard = openYard(join(folder.path, `yard-${++yards}`), options);
    return yard;
  }

  async function make({ profile, limits, deps }: Want): Promise<Berth> {
    const number = await numbers.take();
    const uid = asRoot ? uidOf(process.pid, number) : null;
    const cgroup = tree?.open(`box-${number}`, limits, uid) ?? null;
    const giveBack = async () => {
      await cgroup?.close();
      numbers.give(number);
    };
    const { binds, environment } = profile;
    try {
      const place = await livingYard();
      const wanted = profile.programs.flatMap((name) => programs.get(name) ?? []);
      const root = await place.root(wanted, binds);
      const disk = await place.disk(limits.size, uid);
      const plan = {
        tools: tools.found,
        clear,
        counted: cgroup !== null,
        tasks: cgroup?.tasks ?? null,
        folders: accounts.length,
        uid,
        yard: place.path,
        root,
        dev: place.dev,
        disk: disk.path,
        filter,
        limits,
        programs: wanted,
        binds,
        environment,
        deps: deps === undefined ? null : join(place.depot, deps),
      };
      const starter = await place.starter(number, uid);
      const box = await openBox(starter, plan, async (pid) => cgroup?.take(pid)).finally(disk.taken);
      return {
        box,
        cgroup,
        uid,
        async close() {
          box.close();
          await giveBack();
        },
      };
    } catch (thrown) {
      await giveBack();
      throw thrown;
    }
  }

  const berths = openPool(make);
  return {
    class: tree ? "strict" : "rootless",
    file,
    profiles: Object.keys(file.profiles).filter((name) => !Object.hasOwn(lacks, name)),
    lacks,
    berths,
    fresh: make,
    depot,
    nsenter: tools.found.nsenter,
    async close() {
      await berths.close();
      (await yard?.catch(() => null))?.close();
      folder.close();
      await tree?.close();
    },
  };
}

/** The numbers of boxes. Whoever wants one more than there are waits for another box to end. */
function openNumbers() {
  const free = Array.from({ length: mostBoxes }, (_, number) => mostBoxes - 1 - number);
  const waiting: ((number: number) => void)[] = [];
  return {
    take: () =>
      new Promise<number>((resolve) => {
        const first = free.pop(); // the one that was used last: who begins its boxes is there
        if (first === undefined) waiting.push(resolve);
        else resolve(first);
      }),
    give(number: number) {
      const next = waiting.shift();
      if (next) next(number);
      else free.push(number);
    },
  };
}

/** Some shells tell the programs they begin more than where they are; what begins a box has to begin with nothing. */
function clearingCommand(tools: Record<Tool, string>): string[] {
  const { stdout } = spawnSync("/bin/sh", ["-c", `${forgetPlace}; exec ${tools.env}`], { env: {} });
  return stdout.length > 0 ? [tools.env, "-i"] : [];
}
