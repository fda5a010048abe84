import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { readConfig } from "../../src/app/config.ts";
import { launch } from "../../src/app/launcher.ts";
import { type Client, openClient } from "../../src/client/client.ts";
import type { ChatRequest } from "../../src/contracts/chat.ts";
import { asFailure, Failure } from "../../src/contracts/failure.ts";
import { SandboxError } from "../../src/contracts/violation.ts";
import { judgeGoal } from "../goals.ts";
import { percentile, rounded } from "../numbers.ts";

const tries = 8;
const waitMs = 300;

/** Prints when it is about to break a limit, `inMs` before it does. Milliseconds since 1970, as this host counts. */
type Case = { reason: string; inMs: number; script: string; limits: ChatRequest["limits"] };

const cases: Case[] = [
  { reason: "time.wall", inMs: waitMs, script: "sleep 1000", limits: { time: { wall_ms: waitMs } } },
  { reason: "disk", inMs: 0, script: "cat /dev/zero > fill", limits: { size: { disk_bytes: 4_194_304 } } },
  { reason: "network", inMs: 0, script: "bash -c 'echo > /dev/tcp/203.0.113.7/443'; sleep 5", limits: {} },
];

/**
 * How long it takes from a broken limit to an `error.json` that anybody can read over HTTP, on a whole system of its own;
 * and how many of them, and of dead letters, there are after the last attempt.
 */
export async function measureViolations({
  progress,
  signal,
}: {
  progress: (text: string) => void;
  signal: AbortSignal;
}) {
  const dataDir = await mkdtemp(join(tmpdir(), "dagent-bench-"));
  await chmod(dataDir, 0o711); // the account of the server passes through
  const own = { dataDir, artifactsBase: join(dataDir, "artifacts"), databaseUrl: null, adminToken: null };
  const system = await launch({ ...readConfig(), ...own, host: "127.0.0.1", port: 0, requireAdminForNonGet: false });
  try {
    const client = openClient({ url: system.url });
    const found: { reason: string; ms: number; errors: number; dead: number }[] = [];
    for (const one of cases) {
      progress(`violation: ${one.reason}`);
      for (let turn = 0; turn < tries; turn++) {
        signal.throwIfAborted();
        found.push({ reason: one.reason, ...(await breakOnce(client, one)) });
      }
    }
    const ms = (p: number) =>
      percentile(
        found.map((each) => each.ms).toSorted((a, b) => a - b),
        p,
      );
    const not = (name: "errors" | "dead") => found.filter((each) => each[name] !== 1).length;
    return {
      report: {
        violations: found.length,
        to_error_json: { p50_ms: rounded(ms(50)), p95_ms: rounded(ms(95)), max_ms: rounded(ms(100)) },
        without_one_error_json: not("errors"),
        without_one_dead_letter: not("dead"),
      },
      goals: [
        judgeGoal({ name: "violation to error.json, the slowest", unit: "ms", most: 250 }, ms(100)),
        judgeGoal({ name: "violations without exactly one error.json", unit: "", most: 0 }, not("errors")),
        judgeGoal({ name: "violations without exactly one dead letter", unit: "", most: 0 }, not("dead")),
      ],
    };
  } finally {
    await system.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function breakOnce(client: Client, { reason, inMs, script, limits }: Case) {
  const test = "sh main.sh";
  const { trace_id } = await client.chat({
    intent: "code.buildtest",
    language: "shell",
    workspace: { "main.sh": `date +%s%3N\n${script}\n` },
    test,
    limits,
  });
  const { error, at } = await firstError(client, `${trace_id}/sandbox/error.json`);
  if (error.reason !== reason) throw new Failure("internal", `${reason} was named ${error.reason}`);
  for await (const _ of client.follow(trace_id, { signal: AbortSignal.timeout(30_000) })); // to its end
  const { events } = await client.trace(trace_id);
  const { artifacts } = await client.artifacts({ trace_id });
  return {
    ms: at - Number(error.stdout_tail.trim()) - inMs,
    errors: artifacts.filter(({ path }) => path.endsWith("/error.json")).length,
    dead: events.filter(({ kind }) => kind === "buildtest_dead").length,
  };
}

/** Asks for the file until it is there. */
async function firstError(client: Client, path: string): Promise<{ error: SandboxError; at: number }> {
  for (let turn = 0; turn < 5000; turn++) {
    try {
      const { content } = await client.artifact(path);
      const at = Date.now();
      return { error: SandboxError.parse(JSON.parse(new TextDecoder().decode(content))), at };
    } catch (thrown) {
      if (asFailure(thrown).code !== "not_found") throw thrown;
      await pause(4);
    }
  }
  throw new Failure("internal", `${path} never came`);
}
