import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cpuSeconds, testCommand, wallSeconds } from "./request.ts";

/** The files of one run, by their names. */
type Project = Record<string, string>;

/** Runs whole programs as plain processes. Answers which of them ended with 0, in their order. */
export function runPrograms(programs: string[], options: { width: number; signal: AbortSignal }) {
  return runPlain(
    programs.map((text) => ({ "main.py": text })),
    { ...options, command: "exec python3 main.py" },
  );
}

/**
 * Runs the command of the system's own runs as plain processes in folders that are there already, `width` at one time.
 * Answers which of them ended with 0, in their order.
 */
export async function runPlain(
  projects: Project[],
  { width, signal, command = testCommand }: { width: number; signal: AbortSignal; command?: string },
) {
  const folder = await mkdtemp(join(tmpdir(), "dagent-plain-"));
  const green: boolean[] = [];
  let next = 0;
  try {
    for (const [n, files] of projects.entries()) {
      await mkdir(join(folder, String(n)));
      for (const [name, text] of Object.entries(files)) await writeFile(join(folder, String(n), name), text);
    }
    const began = performance.now();
    const work = async () => {
      while (next < projects.length && !signal.aborted) {
        const n = next++;
        green[n] = (await endIn(join(folder, String(n)), command, signal)) === 0;
      }
    };
    await Promise.all(Array.from({ length: width }, work));
    return { green, ms: performance.now() - began };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** One run, with the limits of a box and nothing else around it: a wrong one may never end, or eat all memory. */
function endIn(cwd: string, command: string, signal: AbortSignal): Promise<number | null> {
  const limited = `ulimit -t ${cpuSeconds} && ulimit -v 1048576 && ${command}`;
  const env = { PATH: "/usr/bin:/bin" }; // what a box finds first, so that both arms run the same programs
  const child = spawn("/bin/sh", ["-c", limited], { env, cwd, stdio: "ignore", detached: true });
  const kill = () => child.pid && process.kill(-child.pid, "SIGKILL"); // with all that it has begun
  const late = setTimeout(kill, wallSeconds * 1000);
  signal.addEventListener("abort", kill);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => {
      clearTimeout(late);
      signal.removeEventListener("abort", kill);
      resolve(code);
    });
  });
}
