import { type ChildProcess, spawn } from "node:child_process";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import type { ExecAnswer } from "../../src/contracts/exec.ts";
import type { ProfileWish } from "../../src/contracts/limits.ts";

/** One run as it goes through the door: files as bytes. */
export type DoorRun = {
  argv: string[];
  files: Record<string, Uint8Array | string>;
  limits: ProfileWish;
  collect: string[];
};

/** `dagent sandbox exec --keep-open`, as a process of its own that is asked one run after the other. */
export type Door = { run(run: DoorRun): Promise<ExecAnswer>; close(): Promise<void> };

/** Whose process it is. Left out: whoever calls. */
export type User = { uid: number; gid: number };

/**
 * Opens the door: `node main sandbox exec`, with nothing of this process's environment but what is given. A run rejects
 * with the words of the failure when it was not carried out.
 */
export function openDoor(main: string, { user, env }: { user?: User; env: Record<string, string> }): Door {
  const child = spawn(process.execPath, [resolve(main), "sandbox", "exec", "--json", "--keep-open"], {
    cwd: "/",
    env,
    stdio: ["pipe", "pipe", "pipe"],
    ...user,
  });
  child.stdin.on("error", () => {}); // it is gone: the waiting hear of it below
  const waiting: { yes(answer: ExecAnswer): void; no(error: Error): void }[] = [];
  let said = "";
  child.stderr.on("data", (bytes) => {
    said = (said + bytes).slice(-500);
  });
  createInterface({ input: child.stdout }).on("line", (line) => {
    const answer = JSON.parse(line);
    const first = waiting.shift();
    if ("error" in answer) first?.no(new Error(`${answer.error.code}: ${answer.error.message}`));
    else first?.yes(answer);
  });
  const ended = endOf(child);
  void ended.then((how) => {
    for (const { no } of waiting.splice(0)) no(new Error(`the door was closed from inside: ${said.trim() || how}`));
  });
  return {
    run: ({ argv, files, limits, collect }) =>
      new Promise((yes, no) => {
        if (child.exitCode !== null || child.signalCode !== null) return no(new Error(`no door: ${said.trim()}`));
        waiting.push({ yes, no });
        const encoded = Object.entries(files).map(([path, content]) => [path, Buffer.from(content).toString("base64")]);
        child.stdin.write(`${JSON.stringify({ argv, files: Object.fromEntries(encoded), limits, collect })}\n`);
      }),
    async close() {
      child.stdin.end();
      await ended;
    },
  };
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(`it ended with ${signal ?? code}`));
  });
}
