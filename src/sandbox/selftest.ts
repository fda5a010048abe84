import { readFileSync } from "node:fs";
import { asFailure } from "../contracts/failure.ts";
import { type LimitsWish, limitsFor, type SandboxClass, type SandboxLimits } from "../contracts/limits.ts";
import { leaveBerth } from "./berth.ts";
import { openCgroupTree } from "./cgroup.ts";
import type { Depot } from "./depot.ts";
import { type Ground, openGround } from "./ground.ts";
import { inspectHost } from "./host.ts";
import { carryOut, type Outcome } from "./run.ts";

/** The ground this machine gives, proved with real boxes; or none, and why not, class by class. */
export type Choice = { ground: Ground | null; why: string | null };

/** What a ground is laid with. */
type Here = { searchPath: string; depot?: Depot | null };

/**
 * Picks the first class of the limits file that really holds on this machine: it is not believed, it is tried. Whoever
 * takes the ground closes it. Never throws for a machine that cannot.
 */
export async function chooseGround(file: SandboxLimits, here: Here): Promise<Choice> {
  const reasons: string[] = [];
  for (const name of file.classes) {
    const { lacks } = inspectHost();
    if (lacks[name].length > 0) {
      reasons.push(`${name}: ${lacks[name].join("; ")}`);
      continue;
    }
    try {
      const ground = await proven(file, name, here);
      return { ground, why: reasons.length > 0 ? reasons.join(" | ") : null };
    } catch (thrown) {
      reasons.push(`${name}: ${asFailure(thrown).message}`);
    }
  }
  return { ground: null, why: reasons.join(" | ") };
}

async function proven(file: SandboxLimits, name: SandboxClass, { searchPath, depot = null }: Here): Promise<Ground> {
  const tree = name === "strict" ? openCgroupTree() : null;
  let ground: Ground | null = null;
  try {
    ground = openGround(testable(file), { tree, searchPath, depot });
    await proveUser(ground);
    await proveClosed(ground);
    if (tree) await proveLimits(ground);
    return { ...ground, file, profiles: ground.profiles.filter((profile) => profile !== trial) };
  } catch (thrown) {
    await (ground ? ground.close() : tree?.close());
    throw thrown;
  }
}

const trial = "selftest";

/** The operator's file with a profile for the test in it: a shell, under the defaults. */
function testable(file: SandboxLimits): SandboxLimits {
  return { ...file, profiles: { ...file.profiles, [trial]: { programs: ["sh"], binds: [], environment: {} } } };
}

/** The box's first process is, for this host, neither root nor (where we are root) anybody who exists. */
async function proveUser(ground: Ground): Promise<void> {
  const limits = limitsFor(ground.file, trial);
  const profile = ground.file.profiles[trial];
  if (!profile) return;
  const berth = await ground.berths.take({ profile, limits });
  const uids = /^Uid:\s+(.*)$/m.exec(readFileSync(`/proc/${berth.box.pid}/status`, "latin1"))?.[1]?.split("\t") ?? [];
  await leaveBerth(berth);
  const wanted = String(berth.uid ?? process.getuid?.());
  expect(uids.length > 0 && uids.every((uid) => uid === wanted && uid !== "0"), `a box runs as user ${uids.join()}`);
}

const closed = `
id -u
grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t' | tr '\\n' ' '; echo
sed -n 's/:.*//p' /proc/net/dev | tr -d ' ' | tr '\\n' ' '; echo
tr '\\0' '\\n' < /proc/1/environ | sed 's/=.*//' | sort | tr '\\n' ' '; echo
for f in /usr/x /etc/x /x /dev/x /opt/x /proc/sys/kernel/x; do (echo > $f) 2>/dev/null && echo "wrote $f"; done
ls /root /home /var /run /sys 2>/dev/null
echo end`;

async function proveClosed(ground: Ground): Promise<void> {
  const { outcome, said } = await tryOut(ground, closed);
  const given = "CI HOME LANG NO_COLOR PATH PWD TMPDIR "; // and nothing that is the worker's
  const wanted = ["1000", "CapEff:0000000000000000 NoNewPrivs:1 Seccomp:2 ", "lo ", given, "end", ""].join("\n");
  expect(said === wanted, `a box is not closed; it says ${JSON.stringify(said.slice(0, 500))}`);
  expect(outcome.steps[0]?.code === 0, "a box does not run a shell to its end");
}

async function proveLimits(ground: Ground): Promise<void> {
  const memory = { size: { memory_bytes: 33_554_432 } };
  const { outcome: eater } = await tryOut(ground, "x=$(head -c 80000000 /dev/zero | tr '\\0' a)", memory);
  expect(eater.reason === "memory", "the limit of memory does not hold");
  const { outcome: forker } = await tryOut(ground, "for i in 1 2 3 4 5 6 7 8 9; do sleep 9 & done", {
    process: { pids: 8 },
  });
  expect(forker.reason === "pids", "the limit of processes does not hold");
  const { outcome: spinner } = await tryOut(ground, "while :; do :; done", { time: { cpu_ms: 50, wall_ms: 5000 } });
  expect(spinner.reason === "time.cpu", "the limit of cpu time does not hold");
}

async function tryOut(
  ground: Ground,
  script: string,
  limits: LimitsWish = {},
): Promise<{ outcome: Outcome; said: string }> {
  let said = "";
  const { outcome, gone } = carryOut(ground, {
    head: {
      trace_id: trial,
      tenant: trial,
      profile: trial,
      files: [],
      steps: [{ name: trial, argv: ["sh", "-c", script] }],
      collect: [],
      limits: { ...limits, time: { wall_ms: 10_000, ...limits.time } },
    },
    pieces: nothing(),
    onOutput: ({ bytes }) => {
      said += bytes.toString();
    },
    signal: new AbortController().signal,
  });
  return { outcome: await outcome.finally(() => gone), said };
}

async function* nothing(): AsyncGenerator<never> {}

function expect(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}
