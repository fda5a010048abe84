import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { Failure } from "../contracts/failure.ts";
import { SandboxLimits } from "../contracts/limits.ts";
import { RetryPolicy, RoutePolicies } from "../contracts/policy.ts";

/** Loads `retry_policy.json`. */
export const loadRetryPolicy = (folder: string): Promise<RetryPolicy> => load(folder, "retry_policy.json", RetryPolicy);

/** Loads `route_policies.json`. */
export const loadRoutePolicies = (folder: string): Promise<RoutePolicies> =>
  load(folder, "route_policies.json", RoutePolicies);

/** Loads `sandbox_limits.json`. */
export const loadSandboxLimits = (folder: string): Promise<SandboxLimits> =>
  load(folder, "sandbox_limits.json", SandboxLimits);

/** One file of the operator, checked. Throws `config_invalid` with the file and the field. */
async function load<Shape>(folder: string, name: string, shape: z.ZodType<Shape>): Promise<Shape> {
  const path = join(folder, name);
  const text = await readFile(path, "utf8").catch((cause) => {
    throw new Failure("config_invalid", `${path} cannot be read: ${cause.message}`, { cause, file: path });
  });
  const parsed = shape.safeParse(json(path, text));
  if (parsed.success) return parsed.data;
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
