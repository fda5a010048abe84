import { spawn } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type HostWatch, watchHost } from "../../bench/hostile/host.ts";
import { judge, runOf } from "../../bench/hostile/judge.ts";
import { hostile } from "../../bench/hostile/list.ts";
import type { ExecAnswer } from "../../src/contracts/exec.ts";
import type { Collected } from "../../src/sandbox/collect.ts";
import { inspectHost } from "../../src/sandbox/host.ts";
import { shipped } from "./ground.ts";

/**
 * The only place where a part of the sandbox is put out of the way: one layer at a time, to see that a hostile program
 * notices. A layer that nobody would miss is not tested.
 */
type Layer = { layer: string; program: string; without(): void };

const chain = "../../src/sandbox/chain.ts";
type Chain = typeof import("../../src/sandbox/chain.ts");

const layers: Layer[] = [
  {
    layer: "the filter of kernel calls",
    program: "kernel_doors.py",
    without: () => vi.doMock("../../src/sandbox/seccomp.ts", () => ({ seccompFilter: () => allowAll })),
  },
  {
    layer: "the kernel's account",
    program: "memfd.py",
    without: () => {}, // the ground is laid without one below
  },
  {
    layer: "the read-only remount",
    program: "root_only.py",
    without: () => changeArgs((args) => args.map((arg) => (arg === "--ro-bind" ? "--bind" : arg))),
  },
  {
    layer: "the empty environment",
    program: "host_names.py",
    without() {
      vi.doMock("node:child_process", async (original) => ({
        ...(await original<object>()),
        spawn: (command: string, args: string[], options: object) =>
          spawn(command, args, { ...options, env: process.env }),
      }));
      changeChain({
        args: (args) => args.filter((arg) => arg !== "--clearenv"),
        command: (script) => script.replace(/(env) -i/, "$1"),
      });
    },
  },
  {
    layer: "a user of its own",
    program: "root_only.py",
    without: () =>
      vi.doMock("../../src/sandbox/identity.ts", async (original) => ({
        ...(await original<object>()),
        uidOf: () => 0,
      })),
  },
  {
    layer: "the checks of what comes back",
    program: "special_files.py",
    without: () =>
      vi.doMock("../../src/sandbox/collect.ts", () => ({ collectFiles: takeAll, hasFullFile: () => false })),
  },
  {
    layer: "a network of its own",
    program: "host_ports.py",
    without: () => changeArgs((args) => args.flatMap((arg) => (arg === "--unshare-all" ? allButNetwork : [arg]))),
  },
  {
    layer: "processes of its own",
    program: "host_processes.py",
    without: () =>
      changeArgs((args) =>
        args
          .filter((arg) => arg !== "--as-pid-1")
          .flatMap((arg) => (arg === "--unshare-all" ? allButProcesses : [arg])),
      ),
  },
  {
    layer: "the size of the disk",
    program: "deleted_files.py",
    without: () => changeDisk((options) => options.replace(/size=\d+,/, "")),
  },
  {
    layer: "the limits of every process",
    program: "raise_limits.py",
    without: () => changeChain({ command: (script) => script.replaceAll(/ulimit -\w \d+|--fsize=\S+/g, "true") }),
  },
  {
    layer: "the masks over /proc",
    program: "sysrq.py",
    without: () => changeArgs((args) => args.filter((_, at) => !isMask(args, at))),
  },
];

const allowAll = Buffer.from([0x06, 0, 0, 0, 0, 0, 0xff, 0x7f]);
const allButNetwork = ["--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"];
const allButProcesses = ["--unshare-ipc", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"];

/** Whether an argument is part of `--dev-bind …/null /proc/…`. */
function isMask(args: string[], at: number): boolean {
  return [at, at - 1, at - 2].some(
    (from) => args[from] === "--dev-bind" && args[from + 1]?.endsWith("/null") && args[from + 2]?.startsWith("/proc/"),
  );
}

function changeArgs(args: (args: string[]) => string[]): void {
  changeChain({ args });
}

type Changes = { args?: (args: string[]) => string[]; command?: (script: string) => string };

function changeChain({ args = (all) => all, command = (script) => script }: Changes): void {
  vi.doMock(chain, async (original) => {
    const actual = await original<Chain>();
    return {
      ...actual,
      bwrapArgs: (...plan: Parameters<Chain["bwrapArgs"]>) => args(actual.bwrapArgs(...plan)),
      starterCommand: (...plan: Parameters<Chain["starterCommand"]>) => actual.starterCommand(...plan).map(command),
      hostScript: (...plan: Parameters<Chain["hostScript"]>) => command(actual.hostScript(...plan)),
    };
  });
}

function changeDisk(change: (options: string) => string): void {
  vi.doMock(chain, async (original) => {
    const actual = await original<Chain>();
    const diskOptions = (...size: Parameters<Chain["diskOptions"]>) => change(actual.diskOptions(...size));
    return { ...actual, diskOptions };
  });
}

/** What one would write at first: every name is followed and read. */
async function takeAll(work: string, wanted: string[]): Promise<Collected> {
  const names = wanted.flatMap((folder) => readdirSync(join(work, folder)).map((name) => join(folder, name)));
  const files = names.flatMap((path) => {
    try {
      return statSync(join(work, path)).isFile() ? [{ path, content: readFileSync(join(work, path)) }] : [];
    } catch {
      return [];
    }
  });
  return { files, skipped: [], over: null };
}

const { lacks } = inspectHost();
const strict = lacks.strict.length === 0;

describe.skipIf(!strict)(`the strict class${strict ? "" : ` (not run: ${lacks.strict.join("; ")})`}`, () => {
  let host: HostWatch;
  beforeEach(async () => {
    host = await watchHost();
    vi.stubEnv("HOSTILE_SECRET", host.facts.secret);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    host.close();
    vi.doUnmock(chain);
    vi.doUnmock("node:child_process");
    vi.doUnmock("../../src/sandbox/identity.ts");
    vi.doUnmock("../../src/sandbox/seccomp.ts");
    vi.doUnmock("../../src/sandbox/collect.ts");
    vi.resetModules();
  });

  test.each(layers)("is not contained without $layer: $program", async ({ layer, program, without }) => {
    expect(await wrongWith(program, { counted: true })).toEqual([]);

    vi.resetModules();
    without();
    expect(await wrongWith(program, { counted: layer !== "the kernel's account" })).not.toEqual([]);
  });

  /** Carries a hostile program out in a sandbox made of the modules as they are now; what was wrong. */
  async function wrongWith(program: string, { counted }: { counted: boolean }): Promise<string[]> {
    const one = hostile.find((each) => each.program === program);
    if (!one) throw new Error(`there is no ${program}`);
    const { openCgroupTree } = await import("../../src/sandbox/cgroup.ts");
    const { openGround } = await import("../../src/sandbox/ground.ts");
    const { carryOut } = await import("../../src/sandbox/run.ts");
    const { argv, files, limits, collect } = runOf(one, "bench/hostile/programs", host.facts);
    const { binds = [], programs: _, environment: __, ...wish } = limits;
    const profiles = { trial: { programs: ["sh", "python3"], binds, environment: {} } };
    const tree = counted ? openCgroupTree() : null;
    const ground = openGround({ ...shipped, profiles }, { tree, searchPath: process.env.PATH ?? "" });
    const contents = Object.values(files).map((content) => Buffer.from(content));
    const said = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    try {
      const { outcome: coming, gone } = carryOut(ground, {
        head: {
          trace_id: "trial",
          tenant: "acme",
          profile: "trial",
          files: Object.keys(files).map((path, index) => ({ path, bytes: contents[index]?.length ?? 0 })),
          steps: [{ name: "trial", argv }],
          collect,
          limits: wish,
        },
        pieces: piecesOf(contents),
        onOutput: ({ stream, bytes }) => void said[stream].push(bytes),
        signal: new AbortController().signal,
      });
      const { steps, files: back, ...outcome } = await coming.finally(() => gone);
      const answer: ExecAnswer = {
        ...outcome,
        class: "strict", // whatever is missing now: that is what was promised
        code: steps[0]?.code ?? null,
        signal: steps[0]?.signal ?? null,
        stdout: Buffer.concat(said.stdout).toString("base64"),
        stderr: Buffer.concat(said.stderr).toString("base64"),
        artifacts: back.map(({ path, content }) => [path, content.byteLength, Buffer.from(content).toString("base64")]),
        wall_ms: 0,
        cpu_ms: 0,
      };
      return await judge(one, answer, host);
    } finally {
      await ground.close();
    }
  }
});

async function* piecesOf(contents: Buffer[]) {
  for (const [file, bytes] of contents.entries()) if (bytes.length > 0) yield { file, bytes };
}
