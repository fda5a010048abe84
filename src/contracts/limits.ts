import { z } from "zod";
import { Failure } from "./failure.ts";
import { isCovered, Network, NetworkWish, narrow } from "./network.ts";

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
  network: NetworkWish.optional(),
  retry: Retry.partial().optional(),
});
export type LimitsWish = z.infer<typeof LimitsWish>;

/** A path of the host that a box may show: not all of it, and nothing over what a box has of its own. */
const Shown = z
  .string()
  .regex(/^(\/[^\0/]+)+$/, "is an absolute path below the root")
  .refine((path) => !path.split("/").some((part) => part === "." || part === ".."), "leads up")
  .refine((path) => !/^\/(proc|sys|dev|work|box|deps)(\/|$)/.test(path), "is a folder that a box has of its own");

/** The name of a profile, and so of a language: 'node', 'go'. */
export const ProfileName = z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/, "is a short lower-case name");

/** A command as a shell reads it. */
export const Command = z.string().min(1).max(4096);

/** What a language needs in its box, and where its limits differ from the defaults. */
const Profile = z.strictObject({
  ...LimitsWish.shape,
  programs: z.array(z.string().regex(/^[a-zA-Z0-9][\w.+-]*$/, "is the name of a program, without a folder")), // without them a worker does not offer the profile
  binds: z.array(Shown), // host folders shown read-only at the same path
  environment: z.record(z.string().regex(/^[A-Za-z_]\w*$/, "is a variable name"), z.string()),
  commands: z.strictObject({ build: Command, test: Command }).partial().optional(), // of a project that does not say
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
    profiles: z.record(ProfileName, Profile),
    intents: z.record(z.string().min(1).max(128), LimitsWish).default({}), // over the profile, for work of that intent
    tenants: z.record(z.string().min(1).max(128), LimitsWish).default({}), // may only lower
    maximum: Limits,
  })
  .superRefine((file, context) => {
    const refuse = (limits: Limits, place: string[]) => {
      for (const path of above(limits, file.maximum)) {
        context.addIssue({ code: "custom", path: [...place, ...path], message: "is above maximum" });
      }
    };
    for (const [name, profile] of Object.entries(file.profiles)) {
      refuse(overlay(file.defaults, profile), ["profiles", name]);
    }
    for (const [name, wish] of Object.entries(file.intents)) refuse(overlay(file.maximum, wish), ["intents", name]);
    for (const [name, wish] of Object.entries(file.tenants)) refuse(overlay(file.maximum, wish), ["tenants", name]);
  });
export type SandboxLimits = z.infer<typeof SandboxLimits>;

/** What a run is, as far as its limits depend on it. `wish` is its own. */
export type LimitsOf = { intent?: string | undefined; tenant?: string | undefined; wish?: LimitsWish | undefined };

/**
 * The limits of one run: defaults, the profile over them, the intent over that; then the tenant and the run's own wish,
 * which may only lower: what is higher there counts as what it was. Throws `invalid_request` for an unknown profile.
 */
export function limitsFor(file: SandboxLimits, profile: string, { intent, tenant, wish }: LimitsOf = {}): Limits {
  const chosen = entry(file.profiles, profile);
  if (!chosen) {
    const known = Object.keys(file.profiles).join(", ");
    throw new Failure("invalid_request", `there is no sandbox profile '${profile}'; there are ${known}`, {
      field: "profile",
    });
  }
  const given = overlay(overlay(file.defaults, chosen), entry(file.intents, intent) ?? {});
  return [entry(file.tenants, tenant), wish].reduce<Limits>((limits, lower) => lowered(limits, lower ?? {}), given);
}

/** What a record itself has under a name that came from outside. */
function entry<Value>(record: Record<string, Value>, name: string | undefined): Value | undefined {
  return name !== undefined && Object.hasOwn(record, name) ? record[name] : undefined;
}

function lowered(given: Limits, wish: LimitsWish): Limits {
  const wished = overlay(given, wish);
  return Limits.parse({
    time: lower(given.time, wished.time),
    size: lower(given.size, wished.size),
    process: lower(given.process, wished.process),
    network: narrow(given.network, wished.network),
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

/** The paths of what in `limits` is above `maximum`. */
export function above(limits: Limits, maximum: Limits): string[][] {
  const numbers = (["time", "size", "process", "retry"] as const).flatMap((section) => {
    const most: Record<string, number> = maximum[section];
    return Object.entries(limits[section])
      .filter(([name, value]) => value > (most[name] ?? 0))
      .map(([name]) => [section, name]);
  });
  const { mode, allow, bytes: through } = limits.network;
  if (mode === "none") return numbers; // what else it says opens nothing
  const uncovered = allow.flatMap((one, index) =>
    isCovered(one, maximum.network.allow) ? [] : [["network", "allow", String(index)]],
  );
  return [
    ...numbers,
    ...(maximum.network.mode === "none" ? [["network", "mode"]] : uncovered),
    ...(through > maximum.network.bytes ? [["network", "bytes"]] : []),
  ];
}
