import { existsSync, lstatSync, readlinkSync } from "node:fs";
import type { Limits } from "../contracts/limits.ts";
import { boxProcesses } from "./cgroup1.ts";
import type { Folder } from "./folder.ts";
import { proxyEnvironment } from "./inside.ts";
import type { Program } from "./programs.ts";
import { quote, quoteAll } from "./quote.ts";
import type { Tool } from "./tools.ts";

/** Numbers of the open files that a box begins with. Only the first four stay open in it. */
export const fds = { control: 0, stdout: 1, stderr: 2, report: 3, args: 4, about: 5, filter: 6 } as const;

/** The disk itself, work, tmp, shm and home: not counted as the program's. */
export const diskFolders = 5;

/** All that decides how a box is made. */
export type BoxPlan = {
  tools: Record<Tool, string>; // where each is on this host
  folder: Folder;
  limits: Limits;
  programs: Program[];
  binds: string[];
  environment: Record<string, string>;
  uid: number | null; // the user outside; null: a plain user's own, mapped twice
  join: string[]; // cgroup.procs files to enter; none: processes are limited per user namespace instead
};

/** What of /proc tells about the host, or about its secrets. Laid over with /dev/null where it is there. */
const masked = [
  "config.gz",
  "interrupts",
  "iomem",
  "ioports",
  "kallsyms",
  "kcore",
  "key-users",
  "keys",
  "kmsg",
  "kpagecgroup",
  "kpagecount",
  "kpageflags",
  "latency_stats",
  "modules",
  "pagetypeinfo",
  "sched_debug",
  "slabinfo",
  "softirqs",
  "timer_list",
  "vmallocinfo",
  "zoneinfo",
];

/**
 * The host's half of a box, as a command: a mount namespace of its own, in it the sized disk that nobody else sees and
 * that ends with the box, the box's cgroups, its user; then bwrap, with an empty environment because /proc/1/environ of
 * a box is bwrap's, and with its arguments over a file because /proc/1/cmdline is bwrap's too.
 */
export function hostCommand({ tools, folder, limits, programs, uid, join }: BoxPlan): string[] {
  const { size } = limits;
  const disk = (name: string) => `${folder.disk}/${name}`;
  const owner = uid === null ? [] : ["-o", String(uid), "-g", String(uid)];
  const asUser = ["--reuid", String(uid), "--regid", String(uid), "--clear-groups", "--no-new-privs"];
  const script = [
    "set -e",
    "echo 500 > /proc/self/oom_score_adj",
    ...join.map((file) => `echo 0 > ${quote(file)}`),
    quoteAll([
      tools.mount,
      "-t",
      "tmpfs",
      "-o",
      `size=${size.disk_bytes},nr_inodes=${size.inodes + diskFolders},mode=0755`,
      "dagent",
      folder.disk,
    ]),
    quoteAll([tools.install, "-d", ...owner, "-m", "0700", ...["work", "tmp", "shm", "home"].map(disk)]),
    ...programs
      .flatMap(({ shown }) => shown)
      .map(({ from, to }) => quoteAll([tools.mount, "--rbind", from, `${folder.opt}${to.slice("/opt".length)}`])),
    "cd /",
    `exec ${quoteAll([
      ...[tools.env, "-i", ...(uid === null ? [] : [tools.setpriv, ...asUser])],
      ...[tools.prlimit, ...processLimits(limits, join.length > 0), "--"],
      ...[tools.bwrap, "--args", String(fds.args), "--", "/bin/sh"],
    ])}`,
  ];
  return [tools.unshare, ...(uid === null ? ["-r"] : []), "-m", "--", "/bin/sh", "-c", script.join("\n")];
}

/**
 * The limits of every process, laid before bwrap: its first process is the box's first one, which a program may write to,
 * and a user namespace takes its own limit of processes from whoever makes it.
 */
function processLimits({ size, process }: Limits, counted: boolean): string[] {
  const both = (name: string, value: number) => `--${name}=${value}:${value}`;
  return [
    both("core", 0),
    both("fsize", size.file_bytes),
    both("nofile", process.open_files),
    ...(counted ? [] : [both("nproc", process.pids + boxProcesses)]),
  ];
}

/** The arguments of bwrap: no namespace is shared, nothing is writable but the sized disk, nothing of /etc is the host's. */
export function bwrapArgs({ folder, limits, programs, binds, environment }: BoxPlan): string[] {
  const paths = [...new Set(programs.map((program) => program.folder)), "/usr/local/bin", "/usr/bin", "/bin"];
  const variables = {
    PATH: [...new Set(paths)].join(":"),
    HOME: "/box",
    TMPDIR: "/tmp",
    LANG: "C.UTF-8",
    CI: "true",
    NO_COLOR: "1",
    ...(limits.network.mode === "allowlist" ? proxyEnvironment : {}),
    ...environment,
  };
  return [
    ["--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--cap-drop", "ALL"],
    ["--uid", "1000", "--gid", "1000", "--hostname", "sandbox", "--clearenv"],
    Object.entries(variables).flatMap(([name, value]) => ["--setenv", name, value]),
    ["--ro-bind", "/usr", "/usr"],
    ["/bin", "/sbin", "/lib", "/lib32", "/lib64"].flatMap(systemFolder),
    ["--ro-bind", folder.etc, "/etc", "--ro-bind", folder.opt, "/opt"],
    ["--proc", "/proc"],
    masked.filter((name) => existsSync(`/proc/${name}`)).flatMap((name) => ["--ro-bind", "/dev/null", `/proc/${name}`]),
    ["--dev", "/dev"],
    ["--bind", `${folder.disk}/work`, "/work", "--bind", `${folder.disk}/tmp`, "/tmp"],
    ["--bind", `${folder.disk}/shm`, "/dev/shm", "--bind", `${folder.disk}/home`, "/box"],
    binds.flatMap((path) => ["--ro-bind", path, path]), // after the disk: one may lie in /tmp
    ["--remount-ro", "/dev", "--remount-ro", "/"],
    ["--chdir", "/work"],
    ["--info-fd", String(fds.about), "--seccomp", String(fds.filter)],
  ].flat();
}

/** /bin and its like: on most systems a link into /usr, on some a folder of its own. */
function systemFolder(path: string): string[] {
  if (!existsSync(path)) return [];
  return lstatSync(path).isSymbolicLink() ? ["--symlink", readlinkSync(path), path] : ["--ro-bind", path, path];
}
