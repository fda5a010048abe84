import { expect, test } from "vitest";
import { cpuOf, parseStat } from "../../../bench/bus/cpu.ts";

test("a process's line in /proc is read, whatever its name is", () => {
  const line = "4242 (a) R 1 (b) S 77 4242 4242 0 -1 4194304 1 2 3 4 150 25 30 5 20 0 1 0 999 0";

  expect(parseStat(line)).toEqual({ parent: 77, ticks: 175, ended: 35 });
});

test.runIf(process.platform === "linux")(
  "what a process uses is counted once, as a worker's and not as the server's",
  () => {
    const before = cpuOf({ workers: [process.pid], server: process.ppid });
    const from = process.cpuUsage();
    while (process.cpuUsage(from).user + process.cpuUsage(from).system < 100_000); // microseconds
    const after = cpuOf({ workers: [process.pid], server: process.ppid });

    expect((after?.workers ?? 0) - (before?.workers ?? 0)).toBeGreaterThanOrEqual(80);
  },
);
