import { z } from "zod";
import { Failure } from "./failure.ts";

const count = z.number().int().min(1);
const bytes = z.number().int().min(0);

/** How long a run may take, all its steps together. */
const Time = z.strictObject({
  wall_ms: count.max(86_400_000),
  cpu_ms: count.max(86_400_000), // of the whole process tree
  grace_ms: count.max(60_000), // how long a killed box may take to be empty before its slot is given up
});

/** How much a run may hold and bring back. */
const Size = z.strictObject({
  memory_bytes: count.min(16_777_216), // what is in the disk counts too, where the kernel keeps the account
  disk_bytes: count.min(65_536), // work, tmp, home and shm together
  inodes: count.min(64), // files, folders and links on that disk
  file_bytes: count.min(4096), // one file
  stdout_bytes: bytes, // all steps together
  stderr_bytes: bytes,
  artifact_bytes: bytes, // all files that come back
  artifact_files: z.number().int().min(0),
  input_bytes: bytes, // all files that go in
});

/** How many processes, and of what. */
const Processes = z.strictObject({
  pids: count.min(8).max(4_000_000), // processes and threads; the box itself takes two
  open_files: count.min(32).max(1_048_576), // per process
  cpus: z.number().min(0.1).max(1024), // 1.5 is one and a half
});

/** What of the network is there. `fail` ends a run that reaches for it, `record` notes it. */
const Network = z.strictObject({
  mode: z.literal("none"),
  on_attempt: z.enum(["fail", "record"]),
});

const Retry = z.strictObject({ max_attempts: count.max(100) }); // of a message whose run broke a limit

/** Every limit of a run. All sizes in bytes, all times in milliseconds. */
export const Limits = z.strictObject({
  time: Time,
  size: Size,
  process: Processes,
  network: Network,
  retry: Retry,
});
export type Limits = z.infer<typeof Limits>;

/** Some of the limits: what is left out is as it was. */
export const LimitsWish = z.strictObject({
  time: Time.partial().optional(),
  size: Size.partial().optional(),
  process: Processes.partial().optional(),
  network: Network.partial().optional(),
  retry: Retry.partial().optional(),
});
export type LimitsWish = z.infer<typeof LimitsWish>;

/** A path of the host that a box may show: not all of it, and nothing over what a box has of its own. */
const Shown = z
  .string()
  .regex(/^(\/[^\0/]+)+$/, "is an absolute path below the root")
  .refine((path) => !path.split("/").some((part) => part === "." || part === ".."), "leads up")
  .refine((path) => !/^\/(proc|sys|dev|work|box)(\/|$)/.test(path), "is a folder that a box has of its own");

/** What a language needs in its box, and where its limits differ from the defaults. */
const Profile = z.strictObject({
  ...LimitsWish.shape,
  programs: z.array(z.string().regex(/^[a-zA-Z0-9][\w.+-]*$/, "is the name of a program, without a folder")), // without them a worker does not offer the profile
  binds: z.array(Shown), // host folders shown read-only at the same path
  environment: z.record(z.string().regex(/^[A-Za-z_]\w*$/, "is a variable name"), z.string()),
});
export type Profile = z.infer<typeof Profile>;

/** Some of a profile: what is left out is as in the defaults. */
export const ProfileWish = Profile.partial();
export type ProfileWish = z.infer<typeof ProfileWish>;

/** How strongly a box is closed: `strict` by the kernel's accounts too, `rootless` as a plain user without them. */
export const SandboxClass = z.enum(["strict", "rootless"]);
export type SandboxClass = z.infer<typeof SandboxClass>;

/** `configs/sandbox_limits.json`. No profile goes above `maximum`; nothing but `classes` weakens the isolation. */
export const SandboxLimits = z
  .strictObject({
    $schema: z.string().optional(),
    classes: z.array(SandboxClass).min(1), // the first that this machine can give is taken
    defaults: Limits,
    profiles: z.record(z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/, "is a short lower-case name"), Profile),
    maximum: Limits,
  })
  .superRefine((file, context) => {
    for (const name of Object.keys(file.profiles)) {
      for (const path of above(overlay(file.defaults, file.profiles[name] ?? {}), file.maximum)) {
        context.addIssue({ code: "custom", path: ["profiles", name, ...path], message: "is above maximum" });
      }
    }
  });
export type SandboxLimits = z.infer<typeof SandboxLimits>;

/**
 * The limits of one run: defaults, the profile over them, and a wish that may only lower: every number of it that is
 * higher than what the profile gives counts as what the profile gives. Throws `invalid_request` for an unknown profile.
 */
export function limitsFor(file: SandboxLimits, profile: string, wish: LimitsWish = {}): Limits {
  const chosen = Object.hasOwn(file.profiles, profile) ? file.profiles[profile] : undefined;
  if (!chosen) {
    const known = Object.keys(file.profiles).join(", ");
    throw new Failure("invalid_request", `there is no sandbox profile '${profile}'; there are ${known}`, {
      field: "profile",
    });
  }
  const given = overlay(file.defaults, chosen);
  const wished = overlay(given, wish);
  const recorded = given.network.on_attempt === "record" && wished.network.on_attempt === "record";
  return Limits.parse({
    time: lower(given.time, wished.time),
    size: lower(given.size, wished.size),
    process: lower(given.process, wished.process),
    network: { mode: given.network.mode, on_attempt: recorded ? "record" : "fail" },
    retry: lower(given.retry, wished.retry),
  });
}

/** `base` with the sections of `over` laid on top; what `over` does not say stays. */
export function overlay(base: Limits, over: LimitsWish): Limits {
  return {
    time: { ...base.time, ...defined(over.time) },
    size: { ...base.size, ...defined(over.size) },
    process: { ...base.process, ...defined(over.process) },
    network: { ...base.network, ...defined(over.network) },
    retry: { ...base.retry, ...defined(over.retry) },
  };
}

function defined(section: object | undefined): object {
  return Object.fromEntries(Object.entries(section ?? {}).filter(([, value]) => value !== undefined));
}

function lower(given: Record<string, number>, wished: Record<string, number>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => [name, Math.min(value, wished[name] ?? value)]),
  );
}

/** The paths of the numbers of `limits` that are above those of `maximum`. */
export function above(limits: Limits, maximum: Limits): string[][] {
  return (["time", "size", "process", "retry"] as const).flatMap((section) => {
    const most: Record<string, number> = maximum[section];
    return Object.entries(limits[section])
      .filter(([name, value]) => value > (most[name] ?? 0))
      .map(([name]) => [section, name]);
  });
}
