import { z } from "zod";
import { SandboxClass } from "./limits.ts";
import { Promises, RunHead, ViolationReason } from "./sandbox.ts";

/** The number a hub gives a run; counted per connection, never used again on it. */
const run = z.number().int().min(1).max(0xffff_ffff);

/** The names of all that a worker keeps: what each is, and whose, only who knows both can tell. */
const keeps = z.array(z.string().regex(/^[0-9a-f]{64}$/)).max(10_000);

/** The version of this protocol. Another one is refused at hello. */
export const protocolVersion = 1;

/** worker → hub, first: who dials in and what it can do. `class` null: it refuses all work, `why` says the reason. */
export const Hello = z.strictObject({
  type: z.literal("hello"),
  version: z.number().int(),
  worker: z.string().min(1).max(128),
  class: SandboxClass.nullable(),
  why: z.string().max(4000).nullable(),
  slots: z.number().int().min(0).max(64),
  free: z.number().int().min(0).max(64),
  profiles: z.array(z.string().max(32)).max(64), // that it offers
  lacks: z.record(z.string().max(32), z.string().max(500)).default({}), // those it knows and cannot offer, and why
  promises: Promises,
  keeps: keeps.optional(), // left out: it keeps no dependencies
});
export type Hello = z.infer<typeof Hello>;

/** hub → worker: a run. The bytes of its files follow, once it is accepted. */
export const Run = z.strictObject({ type: z.literal("run"), run, head: RunHead });

/** worker → hub: a slot is kept for this run; send the files. */
export const Accept = z.strictObject({ type: z.literal("accept"), run });

/** either way: so many bytes of this run were taken in; the other side may send as many more. */
export const Ack = z.strictObject({ type: z.literal("ack"), run, bytes: z.number().int().min(1) });

/** worker → hub: what came of the run. All output and all files were sent before, as status and file chunks (binary). */
export const Result = z.strictObject({
  type: z.literal("result"),
  run,
  class: SandboxClass,
  reason: ViolationReason.nullable(),
  also: z.array(ViolationReason),
  limit: z.union([z.number(), z.string()]).nullable(),
  observed: z.union([z.number(), z.string()]).nullable(),
  max_attempts: z.number().int().min(1),
  steps: z
    .array(
      z.strictObject({
        name: z.string(),
        code: z.number().int().nullable(),
        signal: z.string().nullable(),
        wall_ms: z.number().min(0),
        cpu_ms: z.number().min(0).nullable(),
      }),
    )
    .max(16),
  files: z.array(z.strictObject({ path: z.string(), bytes: z.number().int().min(0) })),
  skipped: z.array(z.strictObject({ path: z.string(), why: z.string() })),
  kept: z.strictObject({ done: z.boolean(), why: z.string().max(2000).nullable() }).optional(), // what was to be kept
});
export type Result = z.infer<typeof Result>;

/** worker → hub: the run was not carried out. `busy`: no slot is free, try another worker; `cancelled`: as was asked. */
export const RunError = z.strictObject({
  type: z.literal("error"),
  run,
  code: z.enum(["busy", "cancelled", "invalid_request", "sandbox_unavailable", "internal"]),
  message: z.string().max(8000),
});

/** hub → worker: nobody wants this run any more; end its box. */
export const Cancel = z.strictObject({ type: z.literal("cancel"), run });

/** either way, at a steady pace: I live. A worker says how many of its slots are free. */
export const Ping = z.strictObject({ type: z.literal("ping"), free: z.number().int().min(0).max(64).optional() });

/** worker → hub: all that it keeps from now on. Comes before the result of the run that left it. */
export const Keeps = z.strictObject({ type: z.literal("keeps"), keeps });

/** What a worker may say. */
export const WorkerFrame = z.discriminatedUnion("type", [Hello, Accept, Ack, Result, RunError, Ping, Keeps]);
export type WorkerFrame = z.infer<typeof WorkerFrame>;

/** What a hub may say. */
export const HubFrame = z.discriminatedUnion("type", [Run, Ack, Cancel, Ping]);
export type HubFrame = z.infer<typeof HubFrame>;
