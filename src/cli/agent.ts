import { readFile } from "node:fs/promises";
import { z } from "zod";
import { Failure } from "../contracts/failure.ts";

/** What can be said of an agent on the command line; a field of `--file` is replaced by its option. */
export type AgentOptions = {
  json?: boolean;
  file?: string; // the body as JSON
  role?: string;
  intents?: string; // comma separated, like the other lists
  capabilities?: string;
  languages?: string;
  reach?: string; // builtin, openai, http, a2a, mcp
  target?: string; // the builtin's role, the model's name, the MCP server's tool
  url?: string;
  secret?: string; // the name of a variable, never its value
  probe?: string;
  capacity?: string;
  pricePerCall?: string;
  pricePer1k?: string;
  tenants?: string;
  canaryOf?: string; // ID or ID@VERSION
  canaryPct?: string;
  shadow?: boolean;
  live?: boolean;
  enable?: boolean;
  disable?: boolean;
  reason?: string;
};

/** 'echo@2' → echo in version 2; 'echo' → echo in its only one. */
export function parted(name: string): { id: string; version?: string } {
  const [id = "", ...rest] = name.split("@");
  return rest.length === 0 ? { id } : { id, version: rest.join("@") };
}

async function fileOf({ file }: AgentOptions): Promise<Record<string, unknown>> {
  if (file === undefined) return {};
  const text = await readFile(file === "-" ? "/dev/stdin" : file, "utf8").catch((cause) => {
    throw new Failure("invalid_request", `${file} cannot be read: ${cause.message}`, { cause });
  });
  const parsed = z.record(z.string(), z.unknown()).safeParse(parse(text, file));
  if (parsed.success) return parsed.data;
  throw new Failure("invalid_request", `${file} is not a JSON object`);
}

function parse(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Failure("invalid_request", `${file} is not JSON: ${cause instanceof Error ? cause.message : cause}`);
  }
}

/** An agent as its file and its options say it, as the door wants it; an option replaces what the file says. */
export async function agentBody(options: AgentOptions): Promise<Record<string, unknown>> {
  const file = await fileOf(options);
  const price = {
    ...(options.pricePerCall !== undefined && { per_call_usd: numberOf(options.pricePerCall) }),
    ...(options.pricePer1k !== undefined && { per_1k_tokens_usd: numberOf(options.pricePer1k) }),
  };
  const body: Record<string, unknown> = {
    service_role: options.role,
    intents: listOf(options.intents),
    capabilities: listOf(options.capabilities),
    languages: listOf(options.languages),
    reach: reachOf(options),
    capacity: numberOf(options.capacity),
    price: Object.keys(price).length > 0 ? price : undefined,
    tenants: listOf(options.tenants),
    canary_of: options.canaryOf === undefined ? undefined : stableOf(options.canaryOf),
    canary_pct: numberOf(options.canaryPct),
    mode: options.shadow ? "shadow" : options.live ? "live" : undefined,
    enabled: options.enable ? true : options.disable ? false : undefined,
    reason: options.reason,
  };
  return { ...file, ...Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)) };
}

function reachOf({ reach, target, url, secret, probe }: AgentOptions): Record<string, unknown> | undefined {
  if (reach === undefined) return undefined;
  const outside = { ...(url && { url }), ...(probe && { probe }) };
  if (reach === "builtin") return { kind: reach, role: target };
  if (reach === "openai")
    return { kind: reach, model: target, ...(url && { base_url: url }), ...(secret && { api_key: secret }) };
  if (reach === "http") return { kind: reach, ...outside, ...(secret && { secret }) };
  if (reach === "mcp") return { kind: reach, ...outside, tool: target, ...(secret && { token: secret }) };
  return { kind: reach, ...outside, ...(secret && { token: secret }) };
}

function stableOf(name: string): { agent_id: string; agent_version?: string } | null {
  if (name === "") return null;
  const { id, version } = parted(name);
  return { agent_id: id, ...(version && { agent_version: version }) };
}

function listOf(text: string | undefined): string[] | undefined {
  return text
    ?.split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** A number, or the text as it came: the shape says what is wrong with it. */
function numberOf(text: string | undefined): number | string | undefined {
  return text === undefined || text.trim() === "" || Number.isNaN(Number(text)) ? text : Number(text);
}

export function checked<Shape extends z.ZodType>(shape: Shape, body: unknown): z.output<Shape> {
  const parsed = shape.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new Failure("invalid_request", z.prettifyError(parsed.error));
}
