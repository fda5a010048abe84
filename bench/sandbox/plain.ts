import { spawn } from "node:child_process";

/** Runs a command as nothing but a process: with an empty environment, its output read to its end. Answers its code. */
export function runPlain([command = "", ...args]: string[], folder: string): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: folder, env: {}, stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.resume();
    child.stderr.resume();
    child.once("error", reject);
    child.once("close", resolve);
  });
}
