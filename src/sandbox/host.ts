import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { SandboxClass } from "../contracts/limits.ts";
import { findHierarchies } from "./cgroup.ts";
import { readMounts } from "./mounts.ts";
import { findTools } from "./tools.ts";

/** What this machine has for boxes. `lacks` is empty for a class when nothing is known to be missing; a real box is the proof. */
export type Host = {
  platform: string; // linux-x64
  root: boolean;
  bwrap: string | null; // its version
  cgroup: 1 | 2 | null;
  lacks: Record<SandboxClass, string[]>; // what is missing, each with what to do about it
};

/** Settings of a kernel that close user namespaces: the file, the value that does, and the remedy. */
const userNamespaceSettings = [
  ["/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000"],
  ["/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"],
  [
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    "1",
    "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile that lets bwrap and unshare have `userns`",
  ],
] as const;

/** Looks at this machine without making a box. Quick, changes nothing, works as any user. */
export function inspectHost(): Host {
  const root = process.getuid?.() === 0;
  const { found, missing } = findTools();
  const cgroup = process.platform === "linux" ? (findHierarchies(readMounts())?.version ?? null) : null;
  const both = [
    ...(process.platform === "linux" ? [] : ["boxes need Linux: run a sandbox worker there and point it at this hub"]),
    ...(["x64", "arm64"].includes(process.arch) ? [] : [`there is no seccomp filter for ${process.arch}`]),
    ...missing,
    ...closedNamespaces(),
  ];
  const strict = [
    ...(root
      ? []
      : ["the strict class needs root: start the sandbox worker as root, it gives each box a user of its own"]),
    ...(cgroup ? [] : ["no cgroup hierarchy with memory, pids and cpu is mounted: mount cgroup2 at /sys/fs/cgroup"]),
  ];
  return {
    platform: `${process.platform}-${process.arch}`,
    root,
    bwrap: versionOf(found.bwrap),
    cgroup,
    lacks: { strict: [...both, ...strict], rootless: both },
  };
}

function closedNamespaces(): string[] {
  return userNamespaceSettings
    .filter(([file, closed]) => textOf(file) === closed)
    .map(([file, , remedy]) => `user namespaces are closed by ${file}: ${remedy}`);
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, "latin1").trim();
  } catch {
    return null;
  }
}

function versionOf(bwrap: string): string | null {
  const { status, stdout } = spawnSync(bwrap, ["--version"], { encoding: "utf8", env: {} });
  return status === 0 ? stdout.trim().replace(/^bubblewrap /, "") : null;
}
