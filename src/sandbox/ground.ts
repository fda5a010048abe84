import { type Limits, limitsFor, type Profile, type SandboxClass, type SandboxLimits } from "../contracts/limits.ts";
import type { Promises } from "../contracts/sandbox.ts";
import type { Cgroup, CgroupTree } from "./cgroup.ts";
import type { BoxPlan } from "./chain.ts";
import { type Folder, openFolder } from "./folder.ts";
import { findProgram, type Program } from "./programs.ts";
import { seccompFilter } from "./seccomp.ts";
import { findTool, findTools, type Tools } from "./tools.ts";

/** What this machine gives to boxes of one class. */
export type Ground = {
  class: SandboxClass;
  file: SandboxLimits;
  filter: Buffer;
  tree: CgroupTree | null; // null: rootless
  plan(slot: number, profile: Profile, held: { limits: Limits; cgroup: Cgroup | null }): BoxPlan;
  profiles: string[]; // those whose programs are all here
  nsenter: string | null; // opens the way out of a box that has one; null: such profiles are not offered
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

/**
 * Users that no system gives out by itself (systemd's table, 0x70000000 to 0x7fffffff): one for each slot of each
 * process id there can be, so two workers of one host never share one.
 */
export function uidOf(pid: number, slot: number): number {
  return 0x70000000 + pid * 64 + slot;
}

/** Lays the ground for boxes. `tree` null makes the rootless class. Throws when this machine lacks something. */
export function openGround(
  file: SandboxLimits,
  { tree, searchPath, tools = findTools() }: { tree: CgroupTree | null; searchPath: string; tools?: Tools },
): Ground {
  const programs = new Map<string, Program>();
  for (const name of new Set(Object.values(file.profiles).flatMap((profile) => profile.programs))) {
    const program = findProgram(name, searchPath);
    if (program) programs.set(name, program);
  }
  const nsenter = findTool("nsenter");
  const folder: Folder = openFolder([...programs.values()]);
  const own = process.getuid?.() ?? 0;
  return {
    class: tree ? "strict" : "rootless",
    file,
    filter: seccompFilter(process.arch),
    tree,
    plan: (slot, { programs: names, binds, environment }, { limits, cgroup }) => ({
      tools: tools.found,
      folder,
      limits,
      programs: names.flatMap((name) => programs.get(name) ?? []),
      binds,
      environment,
      uid: own === 0 ? uidOf(process.pid, slot) : null,
      join: cgroup?.join ?? [],
    }),
    nsenter,
    profiles: Object.entries(file.profiles)
      .filter(([, profile]) => profile.programs.every((name) => programs.has(name)))
      .filter(([name]) => nsenter !== null || limitsFor(file, name).network.mode === "none")
      .map(([name]) => name),
    async close() {
      folder.close();
      await tree?.close();
    },
  };
}
