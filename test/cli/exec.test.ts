import { spawn } from "node:child_process";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { canIsolate } from "../support/sandbox.ts";

/** Runs the built command on an input, and parses every line it answers. */
function exec(input: unknown[], args: string[] = [], env: Record<string, string> = {}) {
  const main = join(import.meta.dirname, "../../dist/src/cli/main.js");
  const child = spawn(process.execPath, [main, "sandbox", "exec", "--json", ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ["pipe", "pipe", "ignore"],
  });
  let said = "";
  child.stdout.on("data", (bytes) => {
    said += bytes;
  });
  child.stdin.on("error", () => {}); // it may refuse before it has read all
  child.stdin.end(input.map((one) => `${typeof one === "string" ? one : JSON.stringify(one)}\n`).join(""));
  return new Promise<{ code: number | null; answers: Record<string, unknown>[] }>((done) => {
    child.on("close", (code) =>
      done({
        code,
        answers: said
          .split("\n")
          .filter(Boolean)
          .map((line) => JSON.parse(line)),
      }),
    );
  });
}

const sh = (script: string, rest: object = {}) => ({ argv: ["sh", "-c", script], ...rest });
const base64 = (text: string) => Buffer.from(text).toString("base64");

describe.skipIf(!canIsolate)("dagent sandbox exec", () => {
  test("carries out one run and says all that came of it", async () => {
    const script = "cat in/file; echo oops >&2; mkdir out; printf made > out/file; ln -s / out/link; exit 3";

    const { code, answers } = await exec([sh(script, { files: { "in/file": base64("given") }, collect: ["out"] })]);

    expect(code).toBe(0);
    expect(answers).toEqual([
      {
        reason: null,
        also: [],
        limit: null,
        observed: null,
        code: 3,
        signal: null,
        stdout: base64("given"),
        stderr: base64("oops\n"),
        artifacts: [["out/file", 4, base64("made")]],
        skipped: [{ path: "out/link", why: "a symbolic link" }],
        class: expect.stringMatching(/^(strict|rootless)$/),
        wall_ms: expect.any(Number),
        cpu_ms: expect.any(Number),
      },
    ]);
  });

  test("answers one run a line in their order, and goes on after one that cannot be", async () => {
    const { code, answers } = await exec(
      [
        sh("sleep 0.2; echo slow"),
        sh("sleep 9", { limits: { time: { wall_ms: 100 } } }),
        "nonsense",
        { argv: ["no-such-program"] },
        sh("echo $WORD", { limits: { environment: { WORD: "given" } } }),
      ],
      ["--keep-open"],
    );

    expect(answers).toMatchObject([
      { stdout: base64("slow\n"), reason: null },
      { reason: "time.wall", limit: 100 },
      { error: { code: "invalid_request" } },
      { code: 127, reason: null },
      { stdout: base64("given\n") },
    ]);
    expect(code).toBe(2);
  });

  test.each([
    ["an unknown key", { argv: ["true"], limits: { time: { walls: 1 } } }, "limits.time"],
    ["a limit that is no number", { argv: ["true"], limits: { time: { wall_ms: "1" } } }, "limits.time.wall_ms"],
    ["a limit above the maximum", { argv: ["true"], limits: { process: { cpus: 17 } } }, "limits.process.cpus"],
    ["a program that is not here", { argv: ["true"], limits: { programs: ["no-such"] } }, "limits.programs"],
    ["a name that leaves the folder", { argv: ["true"], files: { "../x": "" } }, "files.../x"],
    ["a name that would be lost", '{"argv":["true"],"files":{"__proto__":""}}', "files.__proto__"],
    ["content that is not base64", { argv: ["true"], files: { x: "a?==" } }, "files.x"],
    ["a path to collect that leaves the folder", { argv: ["true"], collect: ["/etc"] }, "collect.0"],
  ])("refuses %s with 2, naming the field", async (_, request, field) => {
    const { code, answers } = await exec([request]);

    expect({ code, answers }).toMatchObject({ code: 2, answers: [{ error: { code: "invalid_request", field } }] });
  });

  test("ends with 78 on a file of limits that is wrong", async () => {
    const { code, answers } = await exec([sh("true")], [], { CONFIG_DIR: resolve("test") });

    expect({ code, answers }).toMatchObject({ code: 78, answers: [{ error: { code: "config_invalid" } }] });
  });
});
