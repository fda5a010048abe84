import { spawnSync } from "node:child_process";
import { systemEnvironment } from "../../app/config.ts";
import { findProgram } from "../../app/programs.ts";
import { Failure } from "../../contracts/failure.ts";
import { json, say } from "../output.ts";

type Manager = { name: string; prepare: string[] | null; install: string[] };

/** Package managers in the order they are looked for. Bubblewrap has the same name in all of them. */
const managers: Manager[] = [
  { name: "apt-get", prepare: ["apt-get", "update", "-q"], install: ["apt-get", "install", "-y", "-q", "bubblewrap"] },
  { name: "dnf", prepare: null, install: ["dnf", "install", "-y", "bubblewrap"] },
  { name: "pacman", prepare: null, install: ["pacman", "-S", "--noconfirm", "bubblewrap"] },
  { name: "zypper", prepare: null, install: ["zypper", "--non-interactive", "install", "bubblewrap"] },
  { name: "apk", prepare: null, install: ["apk", "add", "bubblewrap"] },
];

/** `dagent setup`: brings bubblewrap, without which no stranger's code is run. Does nothing when it is there. */
export async function setup(options: { json?: boolean; dryRun?: boolean }): Promise<void> {
  const tell = (done: string) => (options.json ? json({ done }) : say(done));
  if (findProgram("bwrap")) return tell("bubblewrap is installed; nothing to do");
  if (process.platform !== "linux") {
    throw new Failure(
      "sandbox_unavailable",
      "the sandbox needs Linux; run a sandbox worker there and point it here (SANDBOX_HUBS)",
    );
  }

  const manager = managers.find(({ name }) => findProgram(name));
  if (!manager)
    throw new Failure("sandbox_unavailable", "no known package manager: install the package `bubblewrap` by hand");
  const steps = [manager.prepare, manager.install].filter((step) => step !== null);
  const lines = steps.map((step) => step.join(" "));
  if (options.dryRun) return tell(`would run: ${lines.join(" && ")}`);
  if (process.getuid?.() !== 0) {
    throw new Failure("sandbox_unavailable", `installing needs root; run: sudo sh -c '${lines.join(" && ")}'`);
  }

  for (const [program = "", ...args] of steps) {
    if (!options.json) say(`running: ${[program, ...args].join(" ")}`);
    const env = systemEnvironment({ DEBIAN_FRONTEND: "noninteractive" });
    const { status, stderr } = spawnSync(program, args, { encoding: "utf8", env });
    if (status !== 0) throw new Failure("sandbox_unavailable", `${program} failed: ${stderr.trim().slice(-500)}`);
  }
  if (!findProgram("bwrap"))
    throw new Failure("sandbox_unavailable", "the package was installed, but there is no bwrap");
  tell("bubblewrap is installed");
}
