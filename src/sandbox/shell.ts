import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { Failure } from "../contracts/failure.ts";
import { inheritedFiles } from "./inherited.ts";

/** A shell that waits for orders, and ends with this process. */
export type Shell = {
  pid: number;
  order(script: string): Promise<void>; // one after the other; rejects with `sandbox_unavailable` and what it printed
  isEnded(): boolean;
  close(): void;
};

type Order = { script: string; done(): void; failed(why: string): void };

const end = /(?:^|\n)end (\d+)\n$/;

/**
 * Starts the shell that this command ends in. It has nothing of this process's environment, and of its files only those of
 * `folders`, open from number 3 on.
 */
export function openShell([command = "", ...args]: string[], folders: string[] = []): Shell {
  const child = spawnBare(command, args, folders);
  const orders: Order[] = [];
  let said = "";
  let ended = false;

  function hear(bytes: Buffer): void {
    said += bytes.toString();
    const code = end.exec(said)?.[1];
    if (code === undefined) return;
    const words = said.replace(end, "").trim();
    said = "";
    const first = orders.shift();
    if (code === "0") first?.done();
    else first?.failed(words || `it ended with ${code}`);
    next();
  }
  function next(): void {
    if (orders[0]) child.stdin?.write(`{ ${orders[0].script}; } 2>&1 </dev/null; echo "end $?"\n`);
  }
  function finish(): void {
    ended = true;
    for (const { failed } of orders.splice(0)) failed(said.trim() || "its shell has ended");
  }

  child.stdin?.on("error", () => {}); // it is gone, and its end is told
  child.stdout?.on("data", hear);
  child.stderr?.on("data", (bytes: Buffer) => {
    said += bytes.toString();
  });
  child.once("error", finish);
  child.once("close", finish);
  return {
    pid: child.pid ?? 0,
    order: (script) =>
      new Promise((done, reject) => {
        const failed = (why: string) => reject(new Failure("sandbox_unavailable", `no place for boxes: ${why}`));
        if (ended) return failed("its shell has ended");
        orders.push({ script, done, failed });
        if (orders.length === 1) next();
      }),
    isEnded: () => ended,
    close: () => void child.kill("SIGKILL"),
  };
}

/** With nothing of this process: not its environment, and not what whoever started it had left open. */
function spawnBare(command: string, args: string[], folders: string[]): ChildProcess {
  const nowhere = openSync("/dev/null", "r+");
  const opened = folders.map((folder) => openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY));
  const others: ("ignore" | number)[] = [...opened];
  for (const fd of inheritedFiles(2 + opened.length)) {
    while (others.length + 3 < fd) others.push("ignore");
    others[fd - 3] = nowhere;
  }
  try {
    return spawn(command, args, { cwd: "/", env: {}, stdio: ["pipe", "pipe", "pipe", ...others] });
  } finally {
    for (const file of [nowhere, ...opened]) closeSync(file);
  }
}
