import { z } from "zod";
import { exitCodeOf, exitCodes } from "../../app/child.ts";
import { readConfig } from "../../app/config.ts";
import { type Exec, openExec } from "../../app/exec.ts";
import { openLog } from "../../app/log.ts";
import { loadPolicy } from "../../app/policies.ts";
import { type ExecAnswer, ExecRequest } from "../../contracts/exec.ts";
import { asFailure, Failure } from "../../contracts/failure.ts";
import { type Line, readLines } from "../lines.ts";
import { json, note, paint } from "../output.ts";

const mostLetters = 500_000_000; // a string of Node's ends a little above

type Options = { json?: boolean; keepOpen?: boolean; slots?: string };

/** `dagent sandbox exec`: one run from standard input, or one a line, through a real worker of this machine. */
export async function exec(options: Options): Promise<void> {
  const config = readConfig();
  const file = await loadPolicy(config.configDir, "sandbox_limits.json");
  const log = openLog("sandbox", config.logLevel === "info" ? "warn" : config.logLevel, 2);
  const slots = options.slots === undefined ? config.sandbox.slots : slotsOf(options.slots);
  const enough = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(name, () => enough.abort(new Error(name)));
  process.stdout.on("error", () => enough.abort(new Error("nobody reads the answers")));

  const door = await openExec(file, { slots, log });
  try {
    const most = Math.min(mostLetters, Math.ceil((file.maximum.size.input_bytes * 4) / 3) + 33_554_432);
    const answer = (line: Line) => answerTo(door, line, enough.signal);
    const tell = options.json ? json : show;
    if (options.keepOpen) await answerAll(readLines(process.stdin, most), { answer, tell, slots });
    else tell(await answer(await wholeInput(most)));
  } finally {
    await door.close();
  }
}

type Wrong = { error: { code: string; message: string; field: unknown } };
type Answer = ExecAnswer | Wrong;

/** As many at one time as there are slots; the answers in the order of the lines. */
async function answerAll(
  lines: AsyncIterable<Line>,
  { answer, tell, slots }: { answer: (line: Line) => Promise<Answer>; tell: (answer: Answer) => void; slots: number },
): Promise<void> {
  const running = new Set<Promise<unknown>>();
  let told = Promise.resolve();
  for await (const line of lines) {
    const one = answer(line);
    running.add(one);
    void one.then(() => running.delete(one));
    told = told.then(async () => tell(await one));
    if (running.size >= slots) await Promise.race(running);
  }
  await told;
}

/** Carries out what a line asks for. A failure is an answer too, and sets the exit code. */
async function answerTo(door: Exec, line: Line, signal: AbortSignal): Promise<Answer> {
  try {
    return await door.run(requestOf(line), signal);
  } catch (thrown) {
    const failure = asFailure(thrown);
    const wrong = failure.code === "invalid_request" || failure.code === "payload_too_large";
    process.exitCode = wrong ? exitCodes.usage : exitCodeOf(failure);
    const { code, message, details } = failure;
    return { error: { code, message, field: details.field ?? null } };
  }
}

function requestOf(line: Line): ExecRequest {
  if (line === null) throw new Failure("payload_too_large", "the request is larger than any box may be given");
  const given = parse(line);
  const parsed = ExecRequest.safeParse(given);
  if (parsed.success) return nothingLost(parsed.data, given);
  const field = parsed.error.issues[0]?.path.join(".");
  throw new Failure("invalid_request", `the request cannot be: ${z.prettifyError(parsed.error).slice(0, 500)}`, {
    field,
  });
}

/** A file of this name would vanish on its way through a JavaScript object: it is refused, not lost. */
function nothingLost(request: ExecRequest, given: unknown): ExecRequest {
  const files = Object(Object(given).files);
  if (!Object.hasOwn(files, "__proto__")) return request;
  throw new Failure("invalid_request", "a file cannot be called __proto__", { field: "files.__proto__" });
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new Failure("invalid_request", `the request is not JSON: ${asFailure(cause).message.slice(0, 200)}`, {
      cause,
    });
  }
}

/** All of standard input as one request, on however many lines it is written. */
async function wholeInput(most: number): Promise<Line> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const bytes of process.stdin) {
    length += bytes.length;
    if (length > most) return null;
    parts.push(bytes);
  }
  return Buffer.concat(parts).toString("utf8");
}

/** For people: what the command printed, and why it was ended. */
function show(answer: Answer): void {
  if ("error" in answer) {
    note(`dagent: ${answer.error.message}`);
    return;
  }
  process.stdout.write(Buffer.from(answer.stdout, "base64"));
  process.stderr.write(Buffer.from(answer.stderr, "base64"));
  const { reason, limit, observed, code, signal, wall_ms } = answer;
  const end = reason ? `${reason} (limit ${limit}, observed ${observed})` : `ended with ${signal ?? code}`;
  note(paint("dim", `${end} after ${wall_ms} ms, class ${answer.class}`));
  for (const [path, bytes] of answer.artifacts) note(paint("dim", `${path}: ${bytes} bytes`));
  for (const { path, why } of answer.skipped) note(paint("dim", `${path} stayed in the box: ${why}`));
}

function slotsOf(text: string): number {
  const slots = Number(text);
  if (Number.isSafeInteger(slots) && slots >= 1 && slots <= 64) return slots;
  throw new Failure("invalid_request", `--slots is a whole number from 1 to 64; this is ${text}`);
}
