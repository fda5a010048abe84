import { setTimeout as rest } from "node:timers/promises";
import type { RunRequest } from "../../src/contracts/sandbox.ts";
import { accountFolders } from "../../src/sandbox/cgroup.ts";
import { folderOfAll } from "../../src/sandbox/folder.ts";
import type { Bench, Findings } from "../benchmark.ts";
import { goalRows, judgeGoal } from "../goals.ts";
import { machine } from "../machine.ts";
import { whole } from "../numbers.ts";
import { descendantsOf, isAlive, namesIn, textOf } from "./processes.ts";
import { openSite, type Site } from "./site.ts";

/** Runs of every end there is, and what each must end with. */
const mixed: { request: Partial<RunRequest>; ends: string }[] = [
  { request: step("sh", "-c", "echo well"), ends: "0" },
  { request: { ...step("python3", "-c", "print(1)"), profile: "python" }, ends: "0" },
  { request: { ...step("node", "-e", "console.log(1)"), profile: "node" }, ends: "0" },
  { request: step("sh", "-c", "exit 3"), ends: "3" },
  { request: step("sh", "-c", "kill -SEGV $$"), ends: "SIGSEGV" },
  { request: step("sh", "-c", "(setsid sleep 999 &); (sleep 999 &); echo left"), ends: "0" },
  { request: { ...step("sh", "-c", "mkdir out; echo x > out/x"), collect: ["out"] }, ends: "0" },
  { request: { ...step("cat", "a/b"), files: { "a/b": new Uint8Array(100_000) } }, ends: "0" },
  { request: { ...step("sleep", "999"), limits: { time: { wall_ms: 50 } } }, ends: "time.wall" },
  { request: { ...step("sh", "-c", "while :; do :; done"), limits: { time: { cpu_ms: 50 } } }, ends: "time.cpu" },
  { request: { ...step("sh", "-c", "cat /dev/zero > x"), limits: { size: { disk_bytes: 1_048_576 } } }, ends: "disk" },
  { request: { ...step("cat", "/dev/zero"), limits: { size: { stdout_bytes: 1000 } } }, ends: "output" },
  {
    request: {
      ...step("sh", "-c", "x=$(head -c 99000000 /dev/zero | tr '\\0' a)"),
      limits: { size: { memory_bytes: 33_554_432 } },
    },
    ends: "memory",
  },
  {
    request: { ...step("sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 9 & done"), limits: { process: { pids: 8 } } },
    ends: "pids",
  },
];

function step(...argv: string[]): Partial<RunRequest> {
  return { steps: [{ name: "mixed", argv }] };
}

/** Mixed runs, two at a time, then the SIGKILL of their worker in the middle of two more; what is left, and for how long. */
export async function measure({ option, progress, signal }: Bench): Promise<Findings> {
  const runs = whole("--runs", option("runs"), 1);
  const began = machine();
  const site = await openSite({ slots: 2 });
  const { unexpected } = await runMixed(site, { runs, progress, signal });

  const busy = [0, 1].map(() =>
    site.run(step("sh", "-c", "(setsid sleep 999 &); echo up; sleep 999")).catch(() => null),
  );
  await rest(200);
  const pid = site.worker.pid ?? 0;
  const living = descendantsOf(pid);
  site.worker.kill("SIGKILL");
  const killedAt = performance.now();
  let outlivedMs = 0;
  while (performance.now() - killedAt < 1000) {
    if (living.some(isAlive)) outlivedMs = performance.now() - killedAt;
    await rest(5);
  }
  const outlived = living.filter(isAlive).length;
  const after = leftOf(pid);
  await Promise.all(busy);
  await site.close();

  progress("the next start");
  const next = await openSite({ slots: 2 });
  const swept = leftOf(pid);
  await next.close();
  const goals = [
    judgeGoal({ name: "runs that ended as they should", unit: "", least: runs }, runs - unexpected.length),
    judgeGoal({ name: "processes 1 s after the SIGKILL of their worker", unit: "", most: 0 }, outlived),
    ...Object.entries(swept).map(([what, count]) =>
      judgeGoal({ name: `${what} of it after the next start`, unit: "", most: 0 }, count),
    ),
  ];
  const report = {
    machine: began,
    class: site.class,
    runs,
    unexpected: unexpected.slice(0, 20),
    killed: {
      processes: living.length,
      last_gone_after_ms: Math.round(outlivedMs),
      left_after_1_s: { processes: outlived, ...after },
    },
    after_next_start: swept,
    after_stop: leftOf(next.worker.pid ?? 0),
    goals,
  };
  return { report, tables: [goalRows(goals)] };
}

type Asked = { runs: number; progress: (text: string) => void; signal: AbortSignal };

async function runMixed(site: Site, { runs, progress, signal }: Asked): Promise<{ unexpected: string[] }> {
  const unexpected: string[] = [];
  let next = 0;
  async function hand(): Promise<void> {
    for (let number = next++; number < runs; number = next++) {
      signal.throwIfAborted();
      if (number % 100 === 0) progress(`run ${number} of ${runs}`);
      const one = mixed[number % mixed.length];
      if (!one) return;
      const { reason, steps } = await site.run(one.request);
      const ended = String(reason ?? steps[0]?.signal ?? steps[0]?.code);
      if (ended !== one.ends) unexpected.push(`${JSON.stringify(one.request.steps)}: ${ended}, not ${one.ends}`);
    }
  }
  await Promise.all([hand(), hand()]);
  return { unexpected };
}

/** What is left of a worker on this host. */
function leftOf(pid: number): { mounts: number; cgroups: number; folders: number } {
  const ofWorker = (name: string) => name.startsWith(`${pid}-`);
  const mounts = textOf("/proc/self/mountinfo").split("\n");
  return {
    mounts: mounts.filter((line) => line.includes(`/${pid}-`) && line.includes("dagent-sandbox")).length,
    cgroups: accountFolders().flatMap((folder) => namesIn(folder).filter(ofWorker)).length,
    folders: namesIn(folderOfAll()).filter(ofWorker).length,
  };
}
