import { createReadStream } from "node:fs";
import { open, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { exitCodes } from "../../app/child.ts";
import { readConfig } from "../../app/config.ts";
import { launch } from "../../app/launcher.ts";
import { runningSystem } from "../../app/running.ts";
import { type Client, openClient } from "../../client/client.ts";
import { BuildTestReport } from "../../contracts/code.ts";
import { Failure } from "../../contracts/failure.ts";
import type { EventView, TraceAnswer } from "../../contracts/http.ts";
import type { UploadView } from "../../contracts/upload.ts";
import { approvalWords } from "../approval.ts";
import { follow } from "../follow.ts";
import { duration, json, note, paint, say } from "../output.ts";
import { filesOf, readProject } from "../project.ts";
import { openSystem } from "../system.ts";
import { statusLines, verdictLines } from "../verdict.ts";

export type RunOptions = {
  json?: boolean;
  build?: string;
  test?: string;
  patch?: string;
  language?: string;
  timeout?: string;
};

/**
 * `dagent run PATH`: builds and tests a local project, a folder or a git bundle, in the sandbox, through the whole system; one is started for it
 * when none runs. The exit code is the verdict.
 */
export async function run(path: string, options: RunOptions): Promise<void> {
  const folder = resolve(path);
  const tell = options.json ? () => {} : note;
  const patch = options.patch === undefined ? null : await textOf(options.patch);
  const send = (await isBundle(folder)) ? bundleSender(folder) : await projectSender(folder, tell);

  const { client, artifacts, close } = await anySystem(tell);
  try {
    const began = performance.now();
    const { id, bytes, left_out } = await send(client);
    tell(paint("dim", `sent ${sizeIn(bytes)} in ${duration(performance.now() - began)}`));
    for (const { path: name, why } of left_out.slice(0, 5)) tell(paint("dim", `left out: ${name} (${why})`));
    const { build = null, test = null, language = null } = options;
    const timeout = options.timeout === undefined ? {} : { limits: { time: { wall_ms: secondsIn(options.timeout) } } };
    const accepted = await client.buildTest({ upload: id, patch, build, test, language, ...timeout });
    const whole = await follow(client, accepted.trace_id, options.json ? () => {} : live());
    const report = await reportOf(client, accepted.trace_id);
    const where = artifacts === null ? null : join(artifacts, accepted.trace_id);
    if (options.json) json({ ...whole, report, artifacts: where });
    else for (const line of ["", ...verdictLines(whole, { report, where, folder })]) say(line);
    process.exitCode = exitOf(whole);
  } finally {
    await close();
  }
}

type Sender = (client: Client) => Promise<UploadView>;

/** Finds what belongs to a folder's project; it is read when it is sent. */
async function projectSender(folder: string, tell: (text: string) => void): Promise<Sender> {
  const project = await readProject(folder);
  if (project.paths.length === 0) throw new Failure("invalid_request", `there are no files in ${folder}`);
  tell(paint("dim", `${project.paths.length} files: ${project.how}`));
  for (const { path, why } of project.left.slice(0, 5)) tell(paint("dim", `left out: ${path} (${why})`));
  return (client) => client.upload(filesOf(folder, project));
}

/** A git bundle, as `git bundle create` made it, is sent as it is. */
function bundleSender(path: string): Sender {
  return (client) => client.uploadBundle(createReadStream(path));
}

async function isBundle(path: string): Promise<boolean> {
  const file = await open(path).catch(() => null);
  if (!file) return false; // what is not there is told by whoever reads it
  try {
    const { buffer, bytesRead } = await file
      .read(Buffer.alloc(16), 0, 16, 0)
      .catch(() => ({ buffer: Buffer.alloc(0), bytesRead: 0 }));
    return /^# v\d git bundle/.test(buffer.toString("latin1", 0, bytesRead));
  } finally {
    await file.close();
  }
}

type Open = { client: Client; artifacts: string | null; close(): Promise<void> };

/** The system that runs here, or one that lives as long as this command. */
async function anySystem(tell: (text: string) => void): Promise<Open> {
  const config = readConfig();
  const local = config.gatewayUrl === null;
  if (!local || (await runningSystem(config.dataDir))) {
    return { client: await openSystem(), artifacts: local ? config.artifactsBase : null, close: async () => {} };
  }
  const began = performance.now();
  const system = await launch({ ...config, port: 0 }, () => {});
  await writeFile(join(config.dataDir, ".gitignore"), "*\n"); // nothing of ours belongs to the project
  tell(
    paint(
      "dim",
      `no system was running: one is, after ${duration(performance.now() - began)} (\`dagent up\` keeps one)`,
    ),
  );
  const { class: sandboxed, why } = system.facts.sandbox;
  const close = () => system.stop();
  if (typeof sandboxed !== "string") {
    await close();
    throw new Failure("sandbox_unavailable", `the sandbox refuses work here: ${why}; see \`dagent doctor\``);
  }
  const { key, adminToken } = config;
  const client = openClient({ url: system.url, ...(key ? { token: key } : {}), ...(adminToken ? { adminToken } : {}) });
  return { client, artifacts: config.artifactsBase, close };
}

/** Tells what was found out, and what is printed while it is printed. */
function live(): (event: EventView) => void {
  return (event) => {
    const { kind, details } = event;
    const approval = approvalWords(event);
    if (approval !== null) return note(`${paint("cyan", "▸")} ${approval}`);
    if (kind === "buildtest_status") {
      for (const line of statusLines(details)) note(`${paint("cyan", "▸")} ${line}`);
      const lines = Array.isArray(details.lines) ? details.lines : [];
      if (typeof details.left_out === "number" && details.left_out > 0)
        note(paint("dim", `    … ${details.left_out} lines more`));
      for (const line of lines) note(paint("dim", `    ${line}`));
    } else if (kind === "buildtest_retry") note(paint("yellow", "▸ it is tried again"));
  };
}

/** 0 green, 1 red; what could not be built or tested at all, as its failure says. */
function exitOf({ trace }: TraceAnswer): number {
  if (trace.answer) return trace.answer.verdict === "pass" ? exitCodes.ok : exitCodes.failed;
  const code = trace.failure?.code;
  if (code === "sandbox_unavailable" || code === "worker_lost") return exitCodes.unavailable;
  return code === "nothing_to_test" || code === "invalid_request" || code === "install_failed"
    ? exitCodes.usage
    : exitCodes.failed;
}

async function reportOf(client: Client, traceId: string): Promise<BuildTestReport | null> {
  const { artifacts } = await client.artifacts({ trace_id: traceId });
  const path = `${traceId}/build-test/report.json`;
  if (!artifacts.some((one) => one.path === path)) return null;
  const { content } = await client.artifact(path);
  return BuildTestReport.parse(JSON.parse(new TextDecoder().decode(content)));
}

function textOf(path: string): Promise<string> {
  return readFile(path === "-" ? "/dev/stdin" : path, "utf8").catch((cause) => {
    throw new Failure("invalid_request", `${path} cannot be read: ${cause.message}`, { cause });
  });
}

function secondsIn(text: string): number {
  const seconds = Number(text);
  if (Number.isFinite(seconds) && seconds > 0) return Math.ceil(seconds * 1000);
  throw new Failure("invalid_request", `--timeout is a number of seconds; this is ${text}`);
}

function sizeIn(bytes: number): string {
  return bytes < 1_048_576 ? `${Math.ceil(bytes / 1024)} KB` : `${(bytes / 1_048_576).toFixed(1)} MB`;
}
