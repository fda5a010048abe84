import type { ProfileWish, SandboxClass } from "../../src/contracts/limits.ts";
import type { ViolationReason } from "../../src/contracts/sandbox.ts";

/** The reasons a run may end with; null: none, the program ends by itself. */
export type Reasons = (ViolationReason | null)[];

/**
 * A hostile program and what must come of it. In each class: no line begins with ESCAPED, nothing of the host is touched,
 * nothing lives on, what comes back is plain. And the reason is one of those named.
 */
export type Hostile = {
  program: string; // in programs/
  reasons: Reasons;
  rootless?: Reasons | { notPromised: string }; // where that class differs
  limits?: ProfileWish;
  collect?: string[];
  back?: string[]; // the files that come back, exactly
  shown?: boolean; // with the host's folder `shown` in its box
  silent?: boolean; // it may end before it says CONTAINED
};

const unseen = { notPromised: "not promised: memory that is in no process is not seen without the kernel's account" };
const short = { time: { wall_ms: 1500, cpu_ms: 1000 } };
const small = { size: { memory_bytes: 100_663_296 } };

/** All of them. */
export const hostile: Hostile[] = [
  // who one is
  { program: "identity_calls.py", reasons: [null] },
  { program: "setuid_programs.sh", reasons: [null] },
  { program: "raise_limits.py", reasons: [null] },
  { program: "priority.py", reasons: [null] },

  // other processes, their memory and their files
  { program: "trace_others.py", reasons: [null] },
  { program: "first_memory.py", reasons: [null] },
  { program: "runner_scribble.py", reasons: [null, "time.wall"], limits: { time: { wall_ms: 3000 } } },
  { program: "host_processes.py", reasons: [null] },
  { program: "open_files.py", reasons: [null] },
  { program: "kill_all.py", reasons: [null] },
  { program: "stop_runner.sh", reasons: ["time.wall"], limits: short },
  { program: "stop_self.sh", reasons: ["time.wall"], limits: short },

  // doors of the kernel
  { program: "int80.py", reasons: [null] },
  { program: "new_calls.py", reasons: [null] },
  { program: "mount_calls.py", reasons: [null] },
  { program: "namespaces.py", reasons: [null] },
  { program: "keys.py", reasons: [null] },
  { program: "kernel_doors.py", reasons: [null] },
  { program: "clock.py", reasons: [null] },
  { program: "sysrq.py", reasons: [null] },
  { program: "cgroup_writes.py", reasons: [null] },
  { program: "terminal_words.py", reasons: [null] },
  { program: "memfd_exec.py", reasons: [null] },

  // the host's files
  { program: "way_up.py", reasons: [null] },
  { program: "root_writes.py", reasons: [null] },
  { program: "dirty_page.py", reasons: [null] },
  { program: "host_names.py", reasons: [null] },
  { program: "root_only.py", reasons: [null], shown: true },

  // processes without end
  { program: "relay.py", reasons: ["time.wall", "time.cpu", "pids"], limits: short },
  { program: "relay_named.sh", reasons: ["time.wall", "time.cpu", "pids"], limits: short },
  { program: "zombies.py", reasons: ["pids"], rootless: ["pids", null], limits: { process: { pids: 48 } } },
  {
    program: "vfork_threads.py",
    reasons: ["pids"],
    rootless: ["pids", "time.wall"],
    limits: { process: { pids: 48 }, ...short },
  },
  { program: "short_children.sh", reasons: ["time.cpu"], limits: { time: { wall_ms: 8000, cpu_ms: 600 } } },

  // memory
  { program: "memfd.py", reasons: ["memory"], rootless: unseen, limits: small },
  { program: "shared_memory.py", reasons: ["memory"], rootless: unseen, limits: small },
  { program: "locked_memory.py", reasons: ["memory"], limits: small },
  { program: "pipe_buffers.py", reasons: ["memory", "pids", null], limits: small },

  // the disk
  {
    program: "xattrs.py",
    reasons: [null, "memory", "inodes", "disk"],
    limits: { size: { disk_bytes: 33_554_432, inodes: 4000 } },
  },
  { program: "sparse.sh", reasons: ["file_size", null], collect: ["out"] },
  { program: "allocate.py", reasons: ["disk", null], limits: { size: { disk_bytes: 33_554_432 } } },
  { program: "deleted_files.py", reasons: ["disk"], limits: { size: { disk_bytes: 33_554_432 } } },
  { program: "links_fill.py", reasons: ["inodes"], limits: { size: { inodes: 3000 } } },

  // output
  { program: "two_floods.py", reasons: ["output"], limits: { size: { stdout_bytes: 200_000, stderr_bytes: 200_000 } } },
  { program: "slow_flood.sh", reasons: ["output"], limits: { size: { stdout_bytes: 1_000_000 } } },
  { program: "close_output.py", reasons: ["time.wall"], limits: short },
  { program: "hold_output.py", reasons: [null] },

  // the network
  { program: "socket_families.py", reasons: [null] },
  { program: "netlink.py", reasons: [null] },
  { program: "reach_out.py", reasons: ["network"], silent: true },
  { program: "multicast.py", reasons: ["network"], silent: true },
  { program: "host_ports.py", reasons: [null] },

  // what comes back
  { program: "special_files.py", reasons: [null], collect: ["out"], back: ["out/plain"] },
  { program: "swap_links.py", reasons: [null], collect: ["out", "link"] },
  { program: "sparse_many.py", reasons: ["artifact"], collect: ["out"] },
  { program: "huge_folder.py", reasons: ["artifact", "disk", "inodes"], collect: ["out"] },
  {
    program: "odd_names.py",
    reasons: [null],
    collect: ["out"],
    back: [
      "-rf",
      "..\\..\\up",
      "a".repeat(255),
      "...",
      " ",
      "__proto__",
      "constructor",
      "CON",
      "x;rm",
      "$(id)",
      "%2e%2e%2fup",
      "<img>",
    ].map((name) => `out/sub/${name}`),
  },
];

/** What is expected of it in a class. */
export function expected(one: Hostile, name: SandboxClass): Reasons | { notPromised: string } {
  return name === "rootless" && one.rootless ? one.rootless : one.reasons;
}
