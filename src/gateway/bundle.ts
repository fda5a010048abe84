import { type ChildProcessByStdio, spawn } from "node:child_process";
import { mkdir, open, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { PassThrough, type Readable } from "node:stream";
import { Failure } from "../contracts/failure.ts";

const mostSaid = 4000; // letters of git's own words

/** A bundle as it is unpacked: the files of one commit as a tar, and `done`, which is called in any case. */
export type Unbundled = { tar: Readable; done(): Promise<void> };

/**
 * Takes a git bundle in as it comes and opens the commit of its HEAD, or of its only branch. Git does it, in a folder of its
 * own without any configuration, with a limit on its memory and its time; nothing of the project is run, and no filter or
 * hook of it. `done` throws when git could not write it all.
 *
 * Throws `invalid_request` for what is no bundle, needs commits that are not in it or has no one HEAD, `payload_too_large`,
 * and `config_invalid` where there is no git.
 */
export async function unbundle(
  base: string,
  body: AsyncIterable<Uint8Array>,
  { name, mostBytes, signal }: { name: string; mostBytes: number; signal: AbortSignal },
): Promise<Unbundled> {
  const folder = resolve(base, ".uploads", `${name}.bundle`);
  const repository = join(folder, "repository");
  const bundle = join(folder, "bundle");
  const run = (...args: string[]) => textOf(git(args, { folder, signal }));
  const clean = () => rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    await write(bundle, body, mostBytes);
    await run("init", "--quiet", "--bare", repository);
    const commit = commitIn(await run("bundle", "list-heads", bundle));
    await run("-C", repository, "bundle", "unbundle", bundle);
    // What a project says of its archives would leave files out, or write other bytes; this is asked before its own.
    await mkdir(join(repository, "info"), { recursive: true });
    await writeFile(join(repository, "info/attributes"), "* -export-ignore -export-subst -text -eol -ident -filter\n");
    const archiving = git(["-C", repository, "archive", "--format=tar", commit], { folder, signal });
    const ended = endOf(archiving);
    ended.catch(() => {}); // it is met in `done`
    return {
      tar: archiving.stdout.pipe(new PassThrough()), // what nobody reads by the end of a process is thrown away
      async done() {
        if (!archiving.stdout.readableEnded) archiving.kill("SIGKILL"); // nobody reads what it still writes
        await ended.finally(clean);
      },
    };
  } catch (error) {
    await clean();
    throw error;
  }
}

async function write(path: string, body: AsyncIterable<Uint8Array>, mostBytes: number): Promise<void> {
  const file = await open(path, "wx");
  let bytes = 0;
  try {
    for await (const piece of body) {
      bytes += piece.length;
      if (bytes > mostBytes) throw new Failure("payload_too_large", `a bundle has ${mostBytes} bytes at most`);
      await file.writeFile(piece);
    }
  } finally {
    await file.close();
  }
}

/** The commit that is meant: HEAD's, else the only one that a branch is at. */
function commitIn(heads: string): string {
  const all = heads
    .split("\n")
    .map((line) => /^([0-9a-f]{40,64}) (.+)$/.exec(line))
    .flatMap((found) => (found ? [{ commit: found[1] ?? "", ref: found[2] ?? "" }] : []));
  const head = all.find(({ ref }) => ref === "HEAD");
  if (head) return head.commit;
  const branches = new Set(all.filter(({ ref }) => ref.startsWith("refs/heads/")).map(({ commit }) => commit));
  const [only] = branches;
  if (only !== undefined && branches.size === 1) return only;
  throw refusal(`has ${branches.size} branches and no HEAD: make it with \`git bundle create x.bundle HEAD\``);
}

type Git = ChildProcessByStdio<null, Readable, Readable>;

const limited = 'ulimit -t 300; ulimit -v 4194304 2>/dev/null; exec git -c core.hooksPath=/dev/null "$@"';

function git(args: string[], { folder, signal }: { folder: string; signal: AbortSignal }): Git {
  const env = {
    PATH: "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin",
    HOME: folder,
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_TERMINAL_PROMPT: "0",
    GIT_ALLOW_PROTOCOL: "none",
    LC_ALL: "C",
  };
  return spawn("/bin/sh", ["-c", limited, "git", ...args], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "pipe"],
    signal,
  });
}

/** Resolves when it has ended well. Throws what it said. */
function endOf(child: Git): Promise<void> {
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-mostSaid);
  });
  return new Promise((ended, failed) => {
    child.once("error", failed);
    child.once("close", (code) => {
      if (code === 0) return ended();
      failed(code === 127 ? noGit() : refusal(`cannot be opened: ${wordsOf(said)}`));
    });
  });
}

async function textOf(child: Git): Promise<string> {
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => {
    text = (text + piece).slice(0, 1_048_576);
  });
  await endOf(child);
  return text;
}

function wordsOf(said: string): string {
  if (/prerequisite commits/.test(said)) return "it builds on commits that are not in it; bundle the whole history";
  return said.trim().split("\n").at(-1)?.slice(0, 300) || "git gave no reason";
}

function noGit(): Failure {
  return new Failure("config_invalid", "there is no git where the gateway runs: bundles cannot be opened; send a tar");
}

function refusal(why: string): Failure {
  return new Failure("invalid_request", `the bundle ${why}`);
}
