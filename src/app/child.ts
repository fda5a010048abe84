import { asFailure, type Failure, type FailureCode } from "../contracts/failure.ts";
import type { Log } from "../contracts/log.ts";

/** A role that runs until it is stopped. `facts` is what it tells whoever started it. */
export type Running = { facts: Record<string, unknown>; stop(): Promise<void> };

/** What a child tells its launcher, once. */
export type Ready =
  | { ready: true; facts: Record<string, unknown> }
  | { ready: false; code: FailureCode; message: string };

/** Exit codes of every command (README): sysexits where one fits. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, unavailable: 69, internal: 70, config: 78 } as const;

/** Codes that say: something this needs is not there. */
const missing = new Set<FailureCode>(["database_unavailable", "gateway_unreachable", "sandbox_unavailable"]);

/** The exit code a failure ends a command with. */
export function exitCodeOf({ code }: Failure): number {
  if (code === "config_invalid") return exitCodes.config;
  if (missing.has(code)) return exitCodes.unavailable;
  return code === "internal" ? exitCodes.internal : exitCodes.failed;
}

/**
 * Runs a role as a process: tells the launcher when it is ready, stops on SIGTERM, SIGINT or when the launcher is
 * gone, and ends with 78 when the configuration was wrong. A second signal ends it at once.
 */
export async function serve(log: Log, start: () => Promise<Running>): Promise<void> {
  const running = await start().catch(async (thrown) => {
    const failure = asFailure(thrown);
    log.error({ code: failure.code, cause: String(failure.cause ?? "") }, failure.message);
    await tell({ ready: false, code: failure.code, message: failure.message });
    process.exit(exitCodeOf(failure));
  });

  let stopping = false;
  const stop = async (why: string) => {
    if (stopping) process.exit(exitCodes.failed);
    stopping = true;
    log.info({ why }, "stopping");
    await running.stop().catch((error) => log.error({ reason: asFailure(error).message }, "did not stop cleanly"));
    process.exit(exitCodes.ok);
  };
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => stop("SIGINT"));
  if (process.send) process.on("disconnect", () => stop("the launcher is gone"));
  process.on("unhandledRejection", (reason) => log.error({ reason: asFailure(reason).message }, "unhandled rejection"));

  log.info(running.facts, "ready");
  await tell({ ready: true, facts: running.facts });
}

function tell(ready: Ready): Promise<void> {
  return new Promise((resolve) => (process.send ? process.send(ready, () => resolve()) : resolve()));
}
