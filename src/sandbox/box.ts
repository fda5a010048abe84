import { closeSync, constants, openSync, statfsSync } from "node:fs";
import type { Readable } from "node:stream";
import { Failure } from "../contracts/failure.ts";
import { type BoxPlan, bwrapArgs, diskFolders, fds, hostScript, isBrought } from "./chain.ts";
import { textOf } from "./kernel.ts";
import { attemptsIn } from "./network.ts";
import type { Orders } from "./pipe.ts";
import type { Starter } from "./starter.ts";
import { childrenOf } from "./tree.ts";

/** How full the box's disk is. Bytes and inodes. */
export type DiskUse = { used: number; full: boolean; inodes: number; inodesFull: boolean };

/** A closed box with a shell in it that waits for steps. */
export type Box = {
  pid: number; // of its first process, as this host counts; gone once `ended`
  outside: number; // of the process that waits outside for its end
  work: string; // its work folder as this host reaches it, also after its end, until `close`
  folders: string[]; // all that its programs may write to, in the same way
  control: Orders; // what the shell is to do, in its language
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

/**
 * Makes a box and waits until its shell answers. A process that has to be brought into its account is handed to `take`
 * before it does anything. Throws `sandbox_unavailable` with what the system said.
 */
export async function openBox(starter: Starter, plan: BoxPlan, take: (pid: number) => Promise<void>): Promise<Box> {
  const { seal, ended: over, ...pipes } = starter.begin(hostScript(plan), bwrapArgs(plan));
  let ended = false;
  let said = "";
  const keepWords = (bytes: Buffer) => {
    said = (said + bytes.toString()).slice(-2000);
  };
  pipes.stderr.on("data", keepWords);
  const end = over.then((words) => {
    ended = true;
    keepWords(Buffer.from(words));
    for (const pipe of Object.values(pipes)) pipe.destroy(); // so that nothing of it is left in them
  });
  const report = openReport(pipes.report);

  try {
    if (isBrought(plan)) {
      await within(report.until("here\n"), end, () => said);
      await take(childOf(starter.pid));
      pipes.control.write("\n");
    }
    pipes.control.write(`echo ready >&${fds.report}\n`);
    await within(report.until("ready\n"), end, () => said);
    report.close();
    seal();
    const outside = childOf(starter.pid);
    const pid = childOf(outside);
    const opened = ["work", "tmp", "dev/shm", "box"].map((path) =>
      openSync(`/proc/${pid}/root/${path}`, constants.O_RDONLY | constants.O_DIRECTORY),
    );
    const folders = opened.map((file) => `/proc/self/fd/${file}`);
    const [work = ""] = folders;
    const network = openNetwork(pid);
    pipes.stderr.off("data", keepWords).pause();
    const attempts = () => network.reduce((sum, file) => sum + attemptsIn(textOf(file)), 0);
    const before = attempts();
    return {
      pid,
      outside,
      work,
      folders,
      ...pipes,
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
    for (const pipe of [pipes.stdout, pipes.stderr, pipes.report]) pipe.resume();
    if (!ended) for (const outside of begunBy(starter.pid)) kill(outside); // the box dies with its parent
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

/** The one process that this one has begun: a starter begins one box, and bwrap one process in it. */
function childOf(pid: number): number {
  const [child] = begunBy(pid);
  if (child === undefined) throw new Failure("sandbox_unavailable", "the box ended while it was made");
  return child;
}

function begunBy(pid: number): number[] {
  try {
    return childrenOf(pid, pid);
  } catch {
    return []; // it has ended
  }
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

/** What a box says while it begins, piece by piece. */
function openReport(stream: Readable) {
  let text = "";
  let look = () => {};
  const hear = (bytes: Buffer) => {
    text += bytes.toString();
    look();
  };
  stream.on("data", hear);
  return {
    /** What comes before this text. */
    until: (end: string) =>
      new Promise<string>((resolve) => {
        look = () => {
          const at = text.indexOf(end);
          if (at < 0) return;
          const found = text.slice(0, at);
          text = text.slice(at + end.length);
          look = () => {};
          resolve(found);
        };
        look();
      }),
    close: () => void stream.off("data", hear).pause(),
  };
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
