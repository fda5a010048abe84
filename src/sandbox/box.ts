import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, constants, openSync, statfsSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { Failure } from "../contracts/failure.ts";
import { type BoxPlan, bwrapArgs, diskFolders, fds, hostCommand } from "./chain.ts";
import { inheritedFiles } from "./inherited.ts";
import { textOf } from "./kernel.ts";
import { attemptsIn } from "./network.ts";

/** How full the box's disk is. Bytes and inodes. */
export type DiskUse = { used: number; full: boolean; inodes: number; inodesFull: boolean };

/** A closed box with a shell in it that waits for steps. */
export type Box = {
  pid: number; // of its first process, as this host counts; gone once `ended`
  outside: number; // of the process that waits outside for its end
  work: string; // its work folder as this host reaches it, also after its end, until `close`
  folders: string[]; // all that its programs may write to, in the same way
  control: Writable; // what the shell is to do, in its language
  report: Readable; // what the shell says about it
  stdout: Readable;
  stderr: Readable;
  ended: Promise<void>; // no process of it is left, and all its output was read
  isEnded(): boolean;
  disk(): DiskUse;
  networkAttempts(): number; // so far, whoever reached for an address that is not in the box
  kill(): void;
  close(): void; // after its end: lets go of its disk, which is then gone
};

const startMs = 10_000;

/** Makes a box and waits until its shell answers. Throws `sandbox_unavailable` with what the system said. */
export async function openBox(plan: BoxPlan): Promise<Box> {
  const child = spawnChain(plan);
  const streams = streamsOf(child);
  let ended = false;
  let said = "";
  const end = new Promise<void>((resolve) => {
    child.once("close", () => {
      ended = true;
      resolve();
    });
  });
  const keepWords = (bytes: Buffer) => {
    said = (said + bytes.toString()).slice(-2000);
  };
  streams.stderr.on("data", keepWords);
  streams.args.end(
    bwrapArgs(plan)
      .map((argument) => `${argument}\0`)
      .join(""),
  );
  streams.control.write(`echo ready >&${fds.report}\n`);

  try {
    const [about] = await Promise.all([
      within(readJson(streams.about), end, () => said),
      within(readLine(streams.report), end, () => said),
    ]);
    const pid = about["child-pid"];
    if (typeof pid !== "number") throw new Failure("sandbox_unavailable", "bwrap did not say which process it began");
    const opened = ["work", "tmp", "dev/shm", "box"].map((path) =>
      openSync(`/proc/${pid}/root/${path}`, constants.O_RDONLY | constants.O_DIRECTORY),
    );
    const folders = opened.map((file) => `/proc/self/fd/${file}`);
    const [work = ""] = folders;
    const network = openNetwork(pid);
    streams.stderr.off("data", keepWords).pause();
    const attempts = () => network.reduce((sum, file) => sum + attemptsIn(textOf(file)), 0);
    const before = attempts();
    return {
      pid,
      outside: child.pid ?? pid,
      work,
      folders,
      ...streams,
      ended: end,
      isEnded: () => ended,
      disk: () => diskUse(work),
      networkAttempts: () => attempts() - before,
      kill() {
        if (!ended) kill(pid); // the kernel ends all others with it; bwrap outside goes when the last is gone
      },
      close() {
        for (const file of [...opened, ...network]) closeSync(file);
      },
    };
  } catch (thrown) {
    child.kill("SIGKILL"); // the box dies with its parent
    for (const stream of [streams.stdout, streams.stderr]) stream.resume();
    throw thrown;
  }
}

/** What the box's network counts. The second is not there where IPv6 is switched off. */
function openNetwork(pid: number): number[] {
  const four = openSync(`/proc/${pid}/net/snmp`, "r");
  try {
    return [four, openSync(`/proc/${pid}/net/snmp6`, "r")];
  } catch {
    return [four];
  }
}

function spawnChain(plan: BoxPlan): ChildProcess {
  const [command = "", ...args] = hostCommand(plan);
  const nowhere = openSync("/dev/null", "r+");
  const filter = openSync(plan.filter, "r");
  const stdio: ("pipe" | "ignore" | number)[] = [...Array.from({ length: fds.filter }, () => "pipe" as const), filter];
  for (const fd of inheritedFiles(fds.filter)) {
    while (stdio.length < fd) stdio.push("ignore");
    stdio[fd] = nowhere;
  }
  try {
    return spawn(command, args, { cwd: "/", env: {}, stdio });
  } finally {
    closeSync(nowhere);
    closeSync(filter);
  }
}

type Streams = Pick<Box, "control" | "report" | "stdout" | "stderr"> & {
  args: Writable;
  about: Readable;
};

function streamsOf(child: ChildProcess): Streams {
  child.on("error", () => {}); // a box that cannot be made or is gone: `ended` tells it
  for (const stream of child.stdio) stream?.on("error", () => {});
  const readable = (fd: number) => child.stdio[fd] as Readable; // all of them were asked for as pipes, both ways
  const writable = (fd: number) => child.stdio[fd] as Writable;
  return {
    control: writable(fds.control),
    stdout: readable(fds.stdout),
    stderr: readable(fds.stderr),
    report: readable(fds.report),
    args: writable(fds.args),
    about: readable(fds.about),
  };
}

/** What is hoped for, unless the box ends first or the time is up. */
async function within<Value>(hope: Promise<Value>, end: Promise<void>, words: () => string): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const refuse = (text: string) => reject(new Failure("sandbox_unavailable", text));
    timer = setTimeout(() => refuse(`no box within ${startMs} ms: ${words()}`), startMs);
    end.then(() => refuse(`the box could not be made: ${words().trim() || "no reason was given"}`));
  });
  try {
    return await Promise.race([hope, late]);
  } finally {
    clearTimeout(timer);
  }
}

function readLine(stream: Readable): Promise<string> {
  return new Promise((resolve) => {
    stream.once("data", (bytes: Buffer) => {
      stream.pause();
      resolve(bytes.toString());
    });
  });
}

function readJson(stream: Readable): Promise<Record<string, unknown>> {
  let text = "";
  return new Promise((resolve) => {
    stream.on("data", (bytes: Buffer) => {
      text += bytes.toString();
      if (text.includes("}")) resolve(JSON.parse(text));
    });
  });
}

function diskUse(path: string): DiskUse {
  const { bsize, blocks, bfree, files, ffree } = statfsSync(path);
  return {
    used: (blocks - bfree) * bsize,
    full: bfree === 0,
    inodes: files - ffree - diskFolders,
    inodesFull: ffree === 0,
  };
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // it has ended in between
  }
}
