import { z } from "zod";
import { LimitsWish, type SandboxClass } from "./limits.ts";

/** Why a box was ended. `exit` alone is a result of the program, not a violation. */
export const ViolationReason = z.enum([
  "time.wall",
  "time.cpu",
  "memory",
  "pids",
  "disk",
  "inodes",
  "output",
  "file_size",
  "network",
  "artifact",
]);
export type ViolationReason = z.infer<typeof ViolationReason>;

/** How well a limit is kept: `held` by the kernel or byte by byte, `watched` by looking often, with some overshoot. */
export const Promised = z.enum(["held", "watched"]);

/** The limits a class promises. What is not named here is not promised. */
export const Promises = z.partialRecord(ViolationReason, Promised);
export type Promises = z.infer<typeof Promises>;

/** A path below the work folder: no way up, no way out, nothing hidden in it. */
export const WorkPath = z
  .string()
  .min(1)
  .max(1024)
  .refine(
    (path) => !path.includes("\0") && path.split("/").every((part) => part !== "" && part !== "." && part !== ".."),
    "is not a path below the work folder",
  )
  .refine(
    (path) => path.split("/").every((part) => new TextEncoder().encode(part).length <= 255),
    "has a name that is too long",
  );

/** A command: a program and its arguments, nothing of which a shell sees. */
export const Argv = z
  .array(
    z
      .string()
      .max(65_536)
      .regex(/^[^\0]*$/, "holds a NUL"),
  )
  .min(1)
  .max(256);

/** One step of a run. */
export const RunStep = z.strictObject({ name: z.string().min(1).max(64), argv: Argv });

/** Under what dependencies are kept, within their tenant: a SHA-256 of all that decides what they are. */
export const KeepKey = z.string().regex(/^[0-9a-f]{64}$/, "is no SHA-256 in hex");

/** What a run leaves for others: a folder of its work folder, kept when all its steps ended with 0. */
export const Keep = z.strictObject({ key: KeepKey, folder: z.enum(["node_modules", "site"]) });
export type Keep = z.infer<typeof Keep>;

/** Profiles that only install: no box waits for them. */
export const installProfiles: readonly string[] = ["npm", "pnpm", "pip"];

/** What is asked of a box, without the bytes of its files. */
export const RunHead = z.strictObject({
  trace_id: z.string().max(64),
  tenant: z.string().max(128),
  profile: z.string().max(32),
  intent: z.string().max(128).optional(),
  files: z.array(z.strictObject({ path: WorkPath, bytes: z.number().int().min(0) })).max(50_000),
  steps: z.array(RunStep).min(1).max(16),
  collect: z.array(WorkPath).max(64),
  limits: LimitsWish.optional(),
  keep: Keep.optional(),
  uses: z.strictObject({ key: KeepKey }).optional(),
});
export type RunHead = z.infer<typeof RunHead>;

/** A file whose bytes are not in memory: they are read when they are sent, and again when another worker is asked. */
export type FileSource = { bytes: number; open(): AsyncIterable<Uint8Array> };

/** One run asked of a sandbox: files in, commands one after the other in one box, files out. */
export type RunRequest = {
  traceId: string;
  tenant: string;
  profile: string; // a profile of configs/sandbox_limits.json: 'node', 'python', 'shell'
  intent?: string; // of the message: its own limits may stand in that file
  files: Record<string, Uint8Array | FileSource>; // path in the work folder to bytes; what begins with #! may be run
  steps: { name: string; argv: string[] }[]; // a step that ends red ends the run
  collect: string[]; // paths or folders in the work folder to bring back
  limits?: LimitsWish; // may only lower what the profile gives
  keep?: Keep; // an install: nothing runs when a connected worker keeps this key of the tenant already
  uses?: { key: string }; // what such a run of the same tenant has kept, read-only at /deps
};

/** What came out of one step. A program ended by a signal has a `code` of null. */
export type StepResult = {
  name: string;
  code: number | null;
  signal: string | null;
  stdout: Uint8Array; // cut at the limit, a violation says so
  stderr: Uint8Array;
  wallMs: number;
  cpuMs: number | null; // of the whole tree; null when it could not be measured
};

/** What came out of a run. `reason` is null when no limit was broken, whatever the exit codes. */
export type RunResult = {
  class: SandboxClass;
  reason: ViolationReason | null;
  also: ViolationReason[];
  maxAttempts: number; // how often a run that broke a limit is tried in all: `retry.max_attempts` of its profile
  limit: number | string | null;
  observed: number | string | null;
  steps: StepResult[]; // those that were begun, in order
  files: { path: string; content: Uint8Array }[];
  skipped: { path: string; why: string }[];
  kept?: Kept | undefined; // only of a run that was to leave something, and ended well
};

/** What became of a folder that was to be kept. `cached`: it was kept before, and nothing was run. */
export type Kept = { done: boolean; cached: boolean; why: string | null };

/** Output of a running step, as it comes. */
export type Chunk = { step: string; stream: "stdout" | "stderr"; bytes: Uint8Array };

/**
 * Runs strangers' code on any free slot of any connected sandbox worker. When `signal` fires the box is killed and the
 * signal's reason is thrown. Throws Failure `invalid_request` (what was asked cannot be), `sandbox_unavailable` (nobody
 * can take it in time, or keeps what it uses), `worker_lost` (it went away in the middle).
 */
export type SandboxRun = (
  request: RunRequest,
  options: { signal: AbortSignal; onOutput?: (chunk: Chunk) => void },
) => Promise<RunResult>;
