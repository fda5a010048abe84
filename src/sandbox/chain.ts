import { statSync } from "node:fs";
import { relative } from "node:path";
import type { Limits } from "../contracts/limits.ts";
import { boxProcesses } from "./cgroup1.ts";
import { proxyEnvironment } from "./inside.ts";
import type { Program } from "./programs.ts";
import { quote, quoteAll } from "./quote.ts";
import type { Tool } from "./tools.ts";

/** Numbers of the open files that a box begins with. Only the first four stay open in it. */
export const fds = { control: 0, stdout: 1, stderr: 2, report: 3, args: 4, filter: 5 } as const;

/** The disk itself, work, tmp, shm and home: not counted as the program's. */
export const diskFolders = 5;

/** How the disk of a box is mounted, of the kind tmpfs. */
export function diskOptions({ disk_bytes: bytes, inodes }: Limits["size"]): string {
  return `size=${bytes},nr_inodes=${inodes + diskFolders},mode=0755,nosuid,nodev`;
}

/** All that decides how a box is made. */
export type BoxPlan = {
  tools: Record<Tool, string>; // where each is on this host
  clear: string[]; // a command that runs the rest of its arguments without environment; none where the shell adds none
  yard: string; // a folder that all of these are in: bwrap looks at each part of a path, so they are named from there
  root: string; // what the box sees as /
  dev: string; // what it sees as /dev
  disk: string; // what it may write to: `files`, with its folders in it, and `pts`
  filter: string; // a file of this host's: its seccomp filter
  limits: Limits;
  programs: Program[];
  binds: string[];
  environment: Record<string, string>;
  deps: string | null; // a folder of the yard that the box sees as /deps
  uid: number | null; // the user outside; null: a plain user's own, mapped twice
  counted: boolean; // whether an account limits its processes; if not, their user namespace does
  tasks: string | null; // of its account, below each folder of the account tree: who writes `0` to it is in the account
  folders: number; // how many those folders are, open from number 3 on where the box begins
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

/** A shell tells whom it begins where it is, unless it does not know. */
export const forgetPlace = "unset PWD OLDPWD";

/**
 * The shell that begins boxes, as a command: with an empty environment, into the yard, as the boxes' own user. It dies
 * with whoever began it.
 *
 * enter      a command that runs the rest of its arguments where the roots and the disks are
 * openFiles  the most that any box may be given: its user may not raise the limit
 */
export function starterCommand({
  tools,
  clear,
  enter,
  openFiles,
  uid,
}: Pick<BoxPlan, "tools" | "clear" | "uid"> & { enter: string[]; openFiles: number }): string[] {
  const asUser = uid === null ? [] : ["--setuid", String(uid), "--setgid", String(uid)]; // and no other groups
  const script = [
    forgetPlace,
    "echo 500 > /proc/self/oom_score_adj",
    `{ ulimit -n ${openFiles} 2>&- || :; }`,
    `exec ${quoteAll([...clear, ...enter, ...asUser, "--", tools.setpriv, "--pdeathsig", "KILL", "--", "/bin/sh"])}`,
  ];
  return ["/bin/sh", "-c", script.join(" && ")];
}

/** The pipes of a box by their names in the folder where it begins, and the file of bwrap's arguments. */
export const pipes = { in: "control", out: ["stdout", "stderr", "report"], args: "args" } as const;

/**
 * The host's half of a box, as a script: it goes into its account, or waits until it was brought there, with its files
 * open in place of all that it had; then under the limits of every process; then bwrap, with an empty environment and with
 * its arguments over a file, because a box can see what its first process began with.
 *
 * The limits are laid before bwrap: its first process is the box's first one, which a program may write to, and a user
 * namespace takes its own limit of processes from whoever makes it.
 */
export function hostScript({ tools, clear, filter, limits, uid, counted, tasks, folders, yard }: BoxPlan): string {
  const { builtin, prlimit, inside } = processLimits(limits, { counted, shared: uid === null });
  const files = [
    `${fds.control}<${pipes.in}`,
    ...pipes.out.map((name) => `${fds[name]}>${name}`),
    `${fds.args}<${pipes.args} ${fds.filter}<${quote(filter)}`,
  ];
  const accounts = Array.from({ length: folders }, (_, index) => 3 + index);
  for (const account of accounts) if (account > fds.filter) files.push(`${account}>&-`); // no other file has its place
  const script = [
    ...(tasks === null ? [] : accounts.map((account) => `echo 0 >/proc/self/fd/${account}/${tasks}`)),
    `exec ${files.join(" ")}`,
    ...(isBrought({ counted, tasks }) ? [`echo here >&${fds.report}`, "read -r go"] : []),
    `cd ${quote(yard)}`,
    forgetPlace,
    ...builtin,
    `exec ${quoteAll([
      ...(prlimit.length > 0 ? [tools.prlimit, ...prlimit, "--"] : []),
      ...clear,
      ...(inside.length > 0 ? [tools.unshare, "-r", "--", tools.prlimit, ...inside, "--"] : []),
      ...[tools.bwrap, "--args", String(fds.args), "--", "/bin/sh"],
    ])}`,
  ];
  return script.join(" && ");
}

/** Whether somebody else has to bring the process into its account. It says when it is there, and waits for a line. */
export function isBrought({ counted, tasks }: Pick<BoxPlan, "counted" | "tasks">): boolean {
  return counted && tasks === null;
}

/**
 * Where no account counts, processes are counted by user: boxes of one user (`shared`) each get a user namespace around
 * their own, so that nobody's processes are counted with a neighbour's.
 *
 * What a shell can set by itself costs nothing; a program in between costs as much as the shell did. The size of a file
 * it knows in units of 512 bytes only, and the number of processes not every shell knows by the same letter.
 */
function processLimits({ size, process }: Limits, { counted, shared }: { counted: boolean; shared: boolean }) {
  const both = (name: string, value: number) => `--${name}=${value}:${value}`;
  const outside = shared ? 0 : 1; // the shell that began it is of the same user
  const processes = counted ? [] : [both("nproc", process.pids + boxProcesses + outside)];
  const exact = size.file_bytes % 512 === 0;
  return {
    builtin: [
      "ulimit -c 0",
      `ulimit -n ${process.open_files}`,
      ...(exact ? [`ulimit -f ${size.file_bytes / 512}`] : []),
    ],
    prlimit: [...(exact ? [] : [both("fsize", size.file_bytes)]), ...(shared ? [] : processes)],
    inside: shared ? processes : [],
  };
}

/**
 * The arguments of bwrap: no namespace is shared, nothing is writable but the sized disk, nothing of /etc is the host's. The
 * shell is the box's first process itself, one fewer than with bwrap's own: it waits for whatever comes to its end there.
 */
export function bwrapArgs(plan: BoxPlan): string[] {
  const { limits, programs, binds, environment, deps, uid } = plan;
  const here = (path: string) => relative(plan.yard, path);
  const [dev, disk] = [here(plan.dev), here(plan.disk)];
  const installed = deps === null ? [] : ["/work/node_modules/.bin", "/deps/site/bin"];
  const paths = [
    ...installed,
    ...new Set(programs.map((program) => program.folder)),
    "/usr/local/bin",
    "/usr/bin",
    "/bin",
  ];
  const variables = {
    PATH: [...new Set(paths)].join(":"),
    HOME: "/box",
    TMPDIR: "/tmp",
    LANG: "C.UTF-8",
    CI: "true",
    NO_COLOR: "1",
    ...(limits.network.mode === "allowlist" ? proxyEnvironment : {}),
    ...(deps === null ? {} : { PYTHONPATH: "/deps/site" }),
    ...environment,
  };
  return [
    ["--unshare-all", "--unshare-user", "--die-with-parent", "--as-pid-1", "--new-session"],
    ["--cap-drop", "ALL"],
    ["--uid", "1000", "--gid", "1000", "--hostname", "sandbox", "--clearenv"],
    Object.entries(variables).flatMap(([name, value]) => ["--setenv", name, value]),
    ["--ro-bind", here(plan.root), "/", "--proc", "/proc"],
    masks(dev),
    ["--dev-bind", dev, "/dev", "--dev-bind", `${disk}/pts`, "/dev/pts"],
    ["--bind", `${disk}/files/work`, "/work", "--bind", `${disk}/files/tmp`, "/tmp"],
    ["--bind", `${disk}/files/shm`, "/dev/shm", "--bind", `${disk}/files/home`, "/box"],
    binds.flatMap((path) => ["--ro-bind", path, path]), // after the disk: one may lie in /tmp
    deps === null ? [] : ["--ro-bind", here(deps), "/deps"],
    uid === null ? ["--remount-ro", "/dev"] : [], // root's is read-only as it is, and its devices would go with it
    ["--chdir", "/work"],
    ["--seccomp", String(fds.filter)],
  ].flat();
}

/**
 * Lays the boxes' /dev/null over what is masked and there; root's is on a disk that needs no remount. What only root may read
 * is closed to the user of a box as it is.
 */
function masks(dev: string): string[] {
  known ??= masked.filter((name) => isReadableByAll(`/proc/${name}`));
  return known.flatMap((name) => ["--dev-bind", `${dev}/null`, `/proc/${name}`]);
}

function isReadableByAll(path: string): boolean {
  const { mode } = statSync(path, { throwIfNoEntry: false }) ?? { mode: 0 };
  return (mode & 0o004) !== 0;
}

let known: string[] | null = null; // a kernel does not change while it runs
