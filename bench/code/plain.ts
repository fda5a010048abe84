import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cpuSeconds, wallSeconds } from "./request.ts";

/** The python a box finds first, so that both arms run the same program. */
export const python = "/usr/bin/python3";

/** Runs whole programs as plain processes, `width` at one time. Answers which of them ended with 0, in their order. */
export async function runPlain(programs: string[], { width, signal }: { width: number; signal: AbortSignal }) {
  const folder = await mkdtemp(join(tmpdir(), "dagent-plain-"));
  const green: boolean[] = [];
  let next = 0;
  try {
    for (const [n, program] of programs.entries()) await writeFile(join(folder, `${n}.py`), program);
    const began = performance.now();
    const work = async () => {
      while (next < programs.length && !signal.aborted) {
        const n = next++;
        green[n] = (await endOf(join(folder, `${n}.py`), signal)) === 0;
      }
    };
    await Promise.all(Array.from({ length: width }, work));
    return { green, ms: performance.now() - began };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** One program, with the limits of a box and nothing else around it: a wrong one may never end, or eat all memory. */
function endOf(file: string, signal: AbortSignal): Promise<number | null> {
  const command = `ulimit -t ${cpuSeconds} && ulimit -v 1048576 && exec ${python} ${file}`;
  const child = spawn("/bin/sh", ["-c", command], { env: {}, cwd: tmpdir(), stdio: "ignore" });
  const kill = () => child.kill("SIGKILL");
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
