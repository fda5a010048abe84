import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import { Failure } from "../contracts/failure.ts";
import { configFolder } from "./paths.ts";

const text = z
  .string()
  .transform((value) => (value.trim() === "" ? null : value))
  .nullable()
  .default(null);
const flag = z
  .enum(["true", "false", "1", "0", ""])
  .default("false")
  .transform((value) => value === "true" || value === "1");
const port = z.coerce.number("is a number from 0 to 65535").int().min(0).max(65_535);
const url = text.refine((value) => value === null || URL.canParse(value), "is not a URL");

/** Every environment variable that is read, with its default. `.env.example` explains them. */
const Environment = z.object({
  DATA_DIR: z.string().min(1).default(".dagent"),
  CONFIG_DIR: text,
  ARTIFACTS_BASE: text,
  DATABASE_URL: url,
  HOST: z.string().min(1).default("127.0.0.1"),
  PORT: port.default(8787),
  PORT_AUTOFREE: flag,
  PUBLIC_URL: url,
  BODY_LIMIT: z.coerce.number().int().min(1024).max(16_777_216).default(1_048_576), // bytes
  ADMIN_TOKEN: text.refine((value) => value === null || value.length >= 8, "is at least 8 characters"),
  REQUIRE_ADMIN_FOR_NON_GET: flag,
  WORKER_CONCURRENCY: z.coerce.number().int().min(1).max(2000).default(8),
  LEASE_MS: z.coerce.number().int().min(500).max(3_600_000).default(15_000),
  ATTEMPT_MS: z.coerce.number().int().min(1000).max(86_400_000).default(600_000),
  MODEL_BASE_URL: url,
  MODEL_NAME: text,
  MODEL_API_KEY: text,
  MODEL_TIMEOUT_MS: z.coerce.number().int().min(100).max(3_600_000).default(120_000),
  MODEL_CASSETTE: text,
  MODEL_RECORD: text,
  MODEL_STREAM: z
    .enum(["true", "false", "1", "0", ""])
    .default("true")
    .transform((value) => value !== "false" && value !== "0"),
  MODEL_TOOLS: flag,
  SANDBOX_TOKEN: text,
  SANDBOX_HUB_HOST: z.string().min(1).default("127.0.0.1"),
  SANDBOX_HUB_PORT: port.nullable().default(null),
  SANDBOX_HUB_CERT: text,
  SANDBOX_HUB_KEY: text,
  SANDBOX_CA: text,
  SANDBOX_HUBS: z.string().default("ws://127.0.0.1:8788"), // comma separated
  SANDBOX_SLOTS: z.coerce.number().int().min(1).max(64).default(2),
  SANDBOX_WARM: text
    .transform((value) => value && Number(value))
    .pipe(z.number("is a number from 0 to 64").int().min(0).max(64).nullable()),
  SANDBOX_DEPOT: text,
  SANDBOX_DEPOT_MB: z.coerce.number().int().min(1).max(10_000_000).default(4096),
  LOG_LEVEL: z.enum(["debug", "info", "warn", "error", "silent"]).default("info"),
  DAGENT_URL: url,
  DAGENT_KEY: text,
});

/** What this process was told by its environment, checked once. */
export type Config = {
  dataDir: string;
  configDir: string;
  artifactsBase: string;
  databaseUrl: string | null; // null: the embedded Postgres of dataDir
  host: string;
  port: number;
  portAutofree: boolean;
  publicUrl: string | null; // of the gateway, as agents outside reach it; null: its host and port
  bodyLimit: number; // bytes
  adminToken: string | null;
  requireAdminForNonGet: boolean;
  concurrency: number;
  leaseMs: number;
  attemptMs: number;
  model: {
    baseUrl: string | null;
    name: string | null;
    apiKey: string | null;
    cassettes: string[]; // the first brings an agent, the others are there for agents that are registered
    timeoutMs: number;
    streams: boolean; // false: the endpoint cannot
    tools: boolean; // true: it can call tools
    record: string | null; // a file: what the model answers becomes a cassette there
  };
  sandbox: {
    token: string | null;
    hubHost: string;
    hubPort: number | null; // null: a hub is opened for SANDBOX_TOKEN alone, at 8788
    hubTls: { certFile: string; keyFile: string } | null;
    hubs: string[];
    caFile: string | null;
    slots: number;
    warm: number | null; // boxes that wait at one time; null: as the slots need
    depot: { folder: string; bytes: number }; // where a sandbox worker keeps what it has installed
  };
  logLevel: "debug" | "info" | "warn" | "error" | "silent";
  gatewayUrl: string | null; // of a running system, for the commands that talk to one
  key: string | null; // to present there
};

/** Reads the environment, and `.env` of the current folder beneath it. Throws `config_invalid` naming the variable. */
export function readConfig(environment: Record<string, string | undefined> = environmentWithFile()): Config {
  const parsed = Environment.safeParse(environment);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const name = issue?.path.join(".") ?? "environment";
    throw new Failure("config_invalid", `${name}: ${issue?.message}`, { field: name });
  }
  const env = parsed.data;
  if (env.MODEL_BASE_URL && !env.MODEL_NAME) {
    throw new Failure("config_invalid", "MODEL_NAME: is needed with MODEL_BASE_URL", { field: "MODEL_NAME" });
  }
  const dataDir = resolve(env.DATA_DIR);
  return {
    dataDir,
    configDir: configFolder(env.CONFIG_DIR),
    artifactsBase: resolve(env.ARTIFACTS_BASE ?? `${dataDir}/artifacts`),
    databaseUrl: env.DATABASE_URL,
    host: env.HOST,
    port: env.PORT,
    portAutofree: env.PORT_AUTOFREE,
    publicUrl: env.PUBLIC_URL?.replace(/\/+$/, "") ?? null,
    bodyLimit: env.BODY_LIMIT,
    adminToken: env.ADMIN_TOKEN,
    requireAdminForNonGet: env.REQUIRE_ADMIN_FOR_NON_GET,
    concurrency: env.WORKER_CONCURRENCY,
    leaseMs: env.LEASE_MS,
    attemptMs: env.ATTEMPT_MS,
    model: {
      baseUrl: env.MODEL_BASE_URL,
      name: env.MODEL_NAME,
      apiKey: env.MODEL_API_KEY,
      cassettes: (env.MODEL_CASSETTE ?? "").split(",").flatMap((path) => (path.trim() ? [resolve(path.trim())] : [])),
      timeoutMs: env.MODEL_TIMEOUT_MS,
      streams: env.MODEL_STREAM,
      tools: env.MODEL_TOOLS,
      record: env.MODEL_RECORD,
    },
    sandbox: {
      token: env.SANDBOX_TOKEN,
      hubHost: env.SANDBOX_HUB_HOST,
      hubPort: env.SANDBOX_HUB_PORT,
      hubTls: tlsOf(env.SANDBOX_HUB_CERT, env.SANDBOX_HUB_KEY),
      caFile: env.SANDBOX_CA && resolve(env.SANDBOX_CA),
      hubs: env.SANDBOX_HUBS.split(",")
        .map((hub) => hub.trim())
        .filter(Boolean),
      slots: env.SANDBOX_SLOTS,
      warm: env.SANDBOX_WARM,
      depot: {
        folder: resolve(env.SANDBOX_DEPOT ?? `${dataDir}/sandbox`),
        bytes: env.SANDBOX_DEPOT_MB * 1_048_576,
      },
    },
    logLevel: env.LOG_LEVEL,
    gatewayUrl: env.DAGENT_URL,
    key: env.DAGENT_KEY,
  };
}

function tlsOf(certFile: string | null, keyFile: string | null) {
  if (certFile && keyFile) return { certFile: resolve(certFile), keyFile: resolve(keyFile) };
  if (!certFile && !keyFile) return null;
  const missing = certFile ? "SANDBOX_HUB_KEY" : "SANDBOX_HUB_CERT";
  throw new Failure("config_invalid", `${missing}: a certificate and its key go together`, { field: missing });
}

/** The environment of a child: the system's, every setting as it stands here, and what is given on top. */
export function childEnvironment(config: Config, rest: Record<string, string>): Record<string, string | undefined> {
  const { model, sandbox } = config;
  return {
    ...process.env,
    DATA_DIR: config.dataDir,
    CONFIG_DIR: config.configDir,
    ARTIFACTS_BASE: config.artifactsBase,
    DATABASE_URL: config.databaseUrl ?? "",
    HOST: config.host,
    PORT: String(config.port),
    PORT_AUTOFREE: String(config.portAutofree),
    PUBLIC_URL: config.publicUrl ?? "",
    BODY_LIMIT: String(config.bodyLimit),
    ADMIN_TOKEN: config.adminToken ?? "",
    REQUIRE_ADMIN_FOR_NON_GET: String(config.requireAdminForNonGet),
    WORKER_CONCURRENCY: String(config.concurrency),
    LEASE_MS: String(config.leaseMs),
    ATTEMPT_MS: String(config.attemptMs),
    MODEL_BASE_URL: model.baseUrl ?? "",
    MODEL_NAME: model.name ?? "",
    MODEL_API_KEY: model.apiKey ?? "",
    MODEL_TIMEOUT_MS: String(model.timeoutMs),
    MODEL_CASSETTE: model.cassettes.join(","),
    MODEL_RECORD: model.record ?? "",
    MODEL_STREAM: String(model.streams),
    MODEL_TOOLS: String(model.tools),
    SANDBOX_TOKEN: sandbox.token ?? "",
    LOG_LEVEL: config.logLevel,
    ...rest,
  };
}

/** The environment of a program of the system, a package manager say, which needs no setting of ours. */
export function systemEnvironment(rest: Record<string, string> = {}): Record<string, string | undefined> {
  const kept = ["PATH", "HOME", "LANG", "TZ", "http_proxy", "https_proxy", "no_proxy"];
  return { ...Object.fromEntries(kept.map((name) => [name, process.env[name]])), ...rest };
}

/** Where programs are looked for. */
export function searchPath(): string {
  return process.env.PATH ?? "";
}

/** For a sandbox worker: what names its hub and its token, and nothing that opens anything else. */
export function sandboxEnvironment(rest: Record<string, string>): Record<string, string | undefined> {
  const kept = ["PATH", "HOME", "LANG", "TZ", "LOG_LEVEL", "SANDBOX_SLOTS", "SANDBOX_WARM", "SANDBOX_DEPOT_MB"];
  return { ...Object.fromEntries(kept.map((name) => [name, process.env[name]])), ...rest };
}

/** For a sandbox worker that is tried out: where programs are and which limits hold. */
export function kitEnvironment({ configDir }: Config): Record<string, string> {
  return { PATH: searchPath(), CONFIG_DIR: configDir };
}

/** What this environment holds that nobody should read: values of variables whose names say so. */
export function secretsHere(): string[] {
  const named = Object.entries(process.env).filter(([name]) => /KEY|TOKEN|SECRET|PASSWORD|DATABASE_URL/.test(name));
  return named.flatMap(([, value]) => (value ? [value] : []));
}

/** The secret of an agent, by the name of its variable; null: there is none. */
export function agentSecret(name: string): string | null {
  return (name.startsWith("AGENT_") && process.env[name]) || null;
}

function environmentWithFile(): Record<string, string | undefined> {
  if (existsSync(".env")) process.loadEnvFile(".env");
  return process.env;
}
