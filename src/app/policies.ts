import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { ApprovalPolicy } from "../contracts/approval.ts";
import { OrchestratorPolicy } from "../contracts/choice.ts";
import { asFailure, Failure } from "../contracts/failure.ts";
import { SandboxLimits } from "../contracts/limits.ts";
import type { Log } from "../contracts/log.ts";
import {
  BusPolicy,
  CircuitPolicy,
  LimitsPolicy,
  OutboundPolicy,
  PricePolicy,
  RetryPolicy,
  RoutePolicies,
} from "../contracts/policy.ts";
import type { Database } from "../store/database.ts";
import { tellAlone } from "../store/events.ts";

/** The operator's files, by name, and the shape each must have. */
const shapes = {
  "approvals.json": ApprovalPolicy,
  "orchestrator.json": OrchestratorPolicy,
  "bus.json": BusPolicy,
  "circuit_breaker.json": CircuitPolicy,
  "limits.json": LimitsPolicy,
  "outbound.json": OutboundPolicy,
  "prices.json": PricePolicy,
  "retry_policy.json": RetryPolicy,
  "route_policies.json": RoutePolicies,
  "sandbox_limits.json": SandboxLimits,
};
export type PolicyName = keyof typeof shapes;
export type PolicyOf<Name extends PolicyName> = z.output<(typeof shapes)[Name]>;

/** Every file of the operator. */
export const policyNames: PolicyName[] = [
  "approvals.json",
  "bus.json",
  "circuit_breaker.json",
  "limits.json",
  "orchestrator.json",
  "outbound.json",
  "prices.json",
  "retry_policy.json",
  "route_policies.json",
  "sandbox_limits.json",
];

/** One file of the operator, checked. Throws `config_invalid` with the file and the field. */
export async function loadPolicy<Name extends PolicyName>(folder: string, name: Name): Promise<PolicyOf<Name>> {
  const path = join(folder, name);
  return parse(name, path, await readText(path));
}

/** A policy that follows its file. `current` is always one that was accepted. */
export type Followed<Policy> = { current(): Policy; stop(): void };

export type Following = { folder: string; sql: Database; log: Log; everyMs?: number };

/**
 * Loads a file and looks every `everyMs` (2 s) whether its text has changed. A good edit takes effect and is told as
 * `policy_reloaded`; one that is still bad at the second look is told as `policy_reload_failed`, once, and the last good
 * one stays in force.
 */
export async function followPolicy<Name extends PolicyName>(
  name: Name,
  { folder, sql, log, everyMs = 2000 }: Following,
): Promise<Followed<PolicyOf<Name>>> {
  const path = join(folder, name);
  let text = await readText(path);
  let policy = parse(name, path, text);

  let refused: string | null = null; // a text that was bad at the last look: it may have been read while it was written
  async function look(): Promise<void> {
    const now = await readText(path).catch((error) => `unreadable: ${asFailure(error).message}`);
    if (now === text) return;
    try {
      policy = parse(name, path, now);
    } catch (error) {
      if (now === refused) await tellRefused(asFailure(error).message, now);
      refused = now;
      return;
    }
    text = now;
    log.info({ file: path }, "policy reloaded");
    await tellAlone(sql, { kind: "policy_reloaded", details: { file: name } });
  }

  async function tellRefused(reason: string, bad: string): Promise<void> {
    text = bad;
    log.error({ file: path, reason }, "policy refused, the last good one stays in force");
    await tellAlone(sql, { kind: "policy_reload_failed", details: { file: name, reason } });
  }

  let looking = Promise.resolve();
  const timer = setInterval(() => {
    looking = looking
      .then(look)
      .catch((error) => log.warn({ reason: asFailure(error).message }, "policy event not kept"));
  }, everyMs);
  timer.unref();
  return { current: () => policy, stop: () => clearInterval(timer) };
}

/** The text of a file that an operator named. Throws `config_invalid` with its path. */
export function readText(path: string): Promise<string> {
  return readFile(path, "utf8").catch((cause) => {
    throw new Failure("config_invalid", `${path} cannot be read: ${cause.message}`, { cause, file: path });
  });
}

function parse<Name extends PolicyName>(name: Name, path: string, text: string): PolicyOf<Name> {
  const parsed = shapes[name].safeParse(json(path, text));
  if (parsed.success) return parsed.data as PolicyOf<Name>; // the shape of that name made it
  throw new Failure("config_invalid", `${path}:\n${z.prettifyError(parsed.error)}`, {
    file: path,
    field: parsed.error.issues[0]?.path.join("."),
  });
}

function json(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Failure("config_invalid", `${path} is not JSON: ${why}`, { cause, file: path });
  }
}
