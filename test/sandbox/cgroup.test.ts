import { expect, test } from "vitest";
import { findHierarchies } from "../../src/sandbox/cgroup.ts";
import { boxFiles1, usage1 } from "../../src/sandbox/cgroup1.ts";
import { boxFiles2, usage2 } from "../../src/sandbox/cgroup2.ts";
import { parseMounts } from "../../src/sandbox/mounts.ts";
import { shipped } from "./ground.ts";

const v1 = ["memory", "pids", "cpu,cpuacct"]
  .map((name) => `30 24 0:27 / /sys/fs/cgroup/${name} rw,nosuid - cgroup cgroup rw,${name}`)
  .join("\n");

test("finds the hierarchies of v1 that account together, each once", () => {
  expect(findHierarchies(parseMounts(v1))).toEqual({
    version: 1,
    roots: ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/cpu,cpuacct"],
  });
});

test("finds none where a controller is missing", () => {
  expect(findHierarchies(parseMounts(v1.replace("pids", "devices").replace("rw,pids", "rw,devices")))).toBeNull();
  expect(findHierarchies([{ at: "/nowhere", kind: "cgroup2", options: [] }])).toBeNull();
});

test("reads a mount point with a blank in it", () => {
  expect(parseMounts("1 2 3:4 / /a\\040b rw - tmpfs none rw")[0]).toEqual({
    at: "/a b",
    kind: "tmpfs",
    options: ["rw"],
  });
});

test("asks both versions for the same limits", () => {
  const { size, process } = shipped.defaults;
  const one = Object.fromEntries(boxFiles1(shipped.defaults).map(({ file, value }) => [file, value]));
  const two = Object.fromEntries(boxFiles2(shipped.defaults).map(({ file, value }) => [file, value]));

  expect(one["memory.limit_in_bytes"]).toBe(String(size.memory_bytes));
  expect(two["memory.max"]).toBe(one["memory.limit_in_bytes"]);
  expect(two["pids.max"]).toBe(one["pids.max"]);
  expect(two["cpu.max"]).toBe(`${one["cpu.cfs_quota_us"]} ${one["cpu.cfs_period_us"]}`);
  expect(Number(one["cpu.cfs_quota_us"])).toBe(process.cpus * 100_000);
});

test("reads the accounts of both versions", () => {
  const files1: Record<string, string> = {
    "cpuacct.usage": "1500000000\n",
    "memory.max_usage_in_bytes": "4096\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "pids.events": "max 3\n",
  };
  const files2: Record<string, string> = {
    "cpu.stat": "usage_usec 1500000\nuser_usec 1\n",
    "memory.current": "4096\n",
    "memory.events": "low 0\noom 1\noom_kill 2\noom_group_kill 1\n",
    "pids.events": "max 3\n",
  };
  const usage = { cpuMs: 1500, memoryBytes: 4096, oomKills: 2, refusedForks: 3 };

  expect(usage1((file) => files1[file] ?? "")).toEqual(usage);
  expect(usage2((file) => files2[file] ?? "")).toEqual(usage);
});
