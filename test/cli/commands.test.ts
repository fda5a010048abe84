import { execFile } from "node:child_process";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

describe("dagent", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "dagent-cli-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  type Ran = { code: number; stdout: string; stderr: string };
  /** Runs the built command in an empty folder. */
  const dagent = (args: string[], env: Record<string, string> = {}) =>
    new Promise<Ran>((resolve) => {
      const main = join(import.meta.dirname, "../../dist/src/cli/main.js");
      const settings = { PATH: process.env.PATH, DATA_DIR: join(folder, "data"), ...env };
      execFile(process.execPath, [main, ...args], { cwd: folder, env: settings }, (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr });
      });
    });

  test("lists its commands and its exit codes", async () => {
    const { code, stdout } = await dagent(["--help"]);

    expect(code).toBe(0);
    for (const word of [
      "up",
      "worker",
      "sandbox",
      "migrate",
      "chat",
      "trace",
      "traces",
      "approvals",
      "down",
      "doctor",
      "setup",
      "scenario",
      "Exit codes",
    ]) {
      expect(stdout).toContain(word);
    }
  });

  test.each([
    [["nonsense"]],
    [["trace"]],
    [["chat", "--colour", "x"]],
    [["approvals", "show"]],
    [["approvals", "refuse", "12"]],
  ])("ends with 2 on wrong usage: %j", async (args) => {
    const { code, stderr } = await dagent(args);

    expect(code).toBe(2);
    expect(stderr).toContain("error:");
  });

  test.each([[["approvals"]], [["approvals", "list"]], [["approvals", "refuse"]], [["traces"]], [["down"]]])(
    "%j --help names its exit codes",
    async (args) => {
      const { code, stdout } = await dagent([...args, "--help"]);

      expect(code).toBe(0);
      expect(stdout).toContain("Exit codes: 0");
    },
  );

  test("ends with 69 and says what to do when no system runs", async () => {
    const { code, stderr, stdout } = await dagent(["chat", "hello", "--json"]);

    expect(code).toBe(69);
    expect(stderr).toContain("dagent up");
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "gateway_unreachable" } });
  });

  test.each([
    ["PORT", { PORT: "70000" }],
    ["ADMIN_TOKEN", { ADMIN_TOKEN: "short" }],
    ["MODEL_NAME", { MODEL_BASE_URL: "http://127.0.0.1:1" }],
  ])("ends with 78 on a wrong %s, before it starts anything", async (name, env) => {
    const { code, stderr } = await dagent(["up"], env);

    expect(code).toBe(78);
    expect(stderr).toContain(name);
  });

  test("ends with 78 on a malformed file of the operator, naming file and field", async () => {
    const configs = join(folder, "configs");
    await cp("configs", configs, { recursive: true });
    await writeFile(join(configs, "retry_policy.json"), '{"default":{"max_attempts":"many"},"keys":{}}');

    const { code, stderr } = await dagent(["up"], { CONFIG_DIR: configs });

    expect(code).toBe(78);
    expect(stderr).toMatch(/retry_policy\.json[\s\S]*max_attempts/);
  });

  test("writes no colour codes to what is not a terminal", async () => {
    const { stdout, stderr } = await dagent(["setup", "--dry-run"]);

    expect(stdout + stderr).not.toContain(String.fromCharCode(27));
  });
});
