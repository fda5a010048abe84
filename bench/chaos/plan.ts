import { between, type Dice, dice } from "./dice.ts";

/** One blow of the plan, `atMs` after the start. */
export type Harm = { atMs: number } & (
  | { kind: "kill"; worker: number } // SIGKILL
  | { kind: "leave"; worker: number } // SIGTERM, as in a deployment
  | { kind: "stop"; worker: number; forMs: number } // SIGSTOP for longer than the lease, then SIGCONT
  | { kind: "restart" } // the database is stopped and started
  | { kind: "crash" } // its postmaster is killed, then it is started
  | { kind: "terminate"; share: number } // the server ends this share of its connections
  | { kind: "cut"; share: number } // the network does: answers under way are lost
  | { kind: "deaf"; forMs: number } // nobody hears wake-ups
  | { kind: "poison" } // a message that ends the process of whoever takes it up
);

/** `seconds` of harm to `workers` workers whose leases last `leaseMs`. */
export type Scope = { seed: number; seconds: number; workers: number; leaseMs: number };

/** One blow of a kind falls in each stretch of this many milliseconds, at a moment that the dice choose. */
const everyMs: Record<Harm["kind"], number> = {
  kill: 4000,
  leave: 9000,
  stop: 6000,
  restart: 31_000,
  crash: 29_000,
  terminate: 5000,
  cut: 4000,
  deaf: 15_000,
  poison: 10_000,
};

const kinds: Harm["kind"][] = ["kill", "leave", "stop", "restart", "crash", "terminate", "cut", "deaf", "poison"];

/** The harm of a run, in the order of time. The same scope gives the same plan; nothing in it outlasts `seconds`. */
export function planOf(scope: Scope): Harm[] {
  const endMs = scope.seconds * 1000;
  return kinds
    .flatMap((kind) => {
      const roll = dice(`${scope.seed} ${kind}`);
      const stretches = Math.ceil(endMs / everyMs[kind]);
      return Array.from({ length: stretches }, (_, stretch) => {
        const atMs = Math.floor((stretch + roll()) * everyMs[kind]);
        return blow(kind, { atMs, roll, scope });
      });
    })
    .filter((harm) => harm.atMs + ("forMs" in harm ? harm.forMs : 0) < endMs)
    .sort((a, b) => a.atMs - b.atMs);
}

function blow(
  kind: Harm["kind"],
  { atMs, roll, scope: { workers, leaseMs } }: { atMs: number; roll: Dice; scope: Scope },
): Harm {
  switch (kind) {
    case "kill":
    case "leave":
      return { atMs, kind, worker: between(roll, 0, workers - 1) };
    case "stop":
      return { atMs, kind, worker: between(roll, 0, workers - 1), forMs: leaseMs + between(roll, 1000, 2500) };
    case "terminate":
    case "cut":
      return { atMs, kind, share: (1 + roll()) / 4 };
    case "deaf":
      return { atMs, kind, forMs: between(roll, 3000, 6000) };
    default:
      return { atMs, kind };
  }
}
