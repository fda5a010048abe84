import { describe, expect, test } from "vitest";
import { attemptsIn } from "../../src/sandbox/network.ts";
import { judge, type Reading } from "../../src/sandbox/watch.ts";
import { shipped } from "./ground.ts";

const quiet: Reading = {
  wallMs: 10,
  cpuMs: 10,
  memory: { bytes: 0, kills: 0 },
  pids: { now: 1, refused: 0 },
  disk: { used: 0, full: false, inodes: 0, inodesFull: false },
  networkAttempts: 0,
};
const limits = shipped.defaults;
const reasons = (reading: Partial<Reading>) => judge(limits, { ...quiet, ...reading }).map(({ reason }) => reason);

describe("a reading of a box", () => {
  test("breaks nothing when all is within its limits, or cannot be seen", () => {
    expect(reasons({})).toEqual([]);
    expect(reasons({ cpuMs: null, memory: null, pids: null })).toEqual([]);
  });

  test("names what explains the rest first", () => {
    expect(reasons({ wallMs: 999_999, cpuMs: 999_999, memory: { bytes: 1, kills: 1 } })).toEqual([
      "memory",
      "time.cpu",
      "time.wall",
    ]);
  });

  test("takes the kernel's word where there is one, and the sum of the processes where there is none", () => {
    expect(reasons({ pids: { now: 0, refused: 1 } })).toEqual(["pids"]);
    expect(reasons({ pids: { now: limits.process.pids, refused: 0 } })).toEqual(["pids"]);
    expect(reasons({ memory: { bytes: limits.size.memory_bytes + 1, kills: 0 } })).toEqual(["memory"]);
  });

  test("counts an attempt at the network only where it is to fail", () => {
    const lenient = { ...limits, network: { ...limits.network, on_attempt: "record" as const } };

    expect(reasons({ networkAttempts: 2 })).toEqual(["network"]);
    expect(judge(lenient, { ...quiet, networkAttempts: 2 })).toEqual([]);
  });
});

test("reads the attempts out of snmp by the name of the column, and out of snmp6 by the line", () => {
  const snmp = "Ip: Forwarding OutNoRoutes ReasmOKs\nIp: 2 7 0\nIcmp: InMsgs OutNoRoutes\nIcmp: 1 99\n";

  expect(attemptsIn(snmp)).toBe(7);
  expect(attemptsIn("Ip6InReceives   4\nIp6OutNoRoutes                  \t3\n")).toBe(3);
  expect(attemptsIn("")).toBe(0);
});
