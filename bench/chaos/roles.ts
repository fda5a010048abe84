import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import type { AnyHandler, Handler, Outcome } from "../../src/bus/handler.ts";
import { Failure } from "../../src/contracts/failure.ts";
import type { Message } from "../../src/contracts/message.ts";
import type { RetryPolicy } from "../../src/contracts/policy.ts";
import { between, dice } from "./dice.ts";

/** The retry policy of a run: short delays, so that it drains soon; poison dies after three workers. */
export const policy: RetryPolicy = {
  default: { max_attempts: 6, base_ms: 100, factor: 2, cap_ms: 1000, jitter: 0.5 },
  keys: { "chaos.poison": { max_attempts: 3, base_ms: 100, factor: 2, cap_ms: 1000, jitter: 0.5 } },
};

/** What every role of a run answers: how many messages followed. The checker compares it with those that are there. */
export type Sent = { sent: number };
const Sent = z.object({ sent: z.number().int().nonnegative() });

/**
 * The roles of a run: a chain (first → second → third), a fan (fan → three leaves), a join (all → three parts → sum), an
 * ordered one (line), one that fails at random, one that is slow enough to be overtaken by its lease, and one that ends its
 * process.
 * What looks like chance is drawn from the message and its attempt, so it does not depend on who runs it.
 */
export const roles: AnyHandler[] = [
  role("chaos.first", async () => onTo("chaos.second")),
  role("chaos.second", async () => onTo("chaos.third")),
  role("chaos.third", async () => ended),
  role("chaos.fan", async ({ idempotencyKey }) => ({
    result: { sent: 3 },
    next: ["a", "b", "c"].map((leaf) => ({ to: "chaos.leaf", payload: {}, key: `${idempotencyKey}.${leaf}` })),
  })),
  role("chaos.leaf", async (message) => {
    await pause(between(rollOf(message), 0, 50));
    return ended;
  }),
  role("chaos.all", async ({ idempotencyKey }) => ({
    result: { sent: 4 },
    next: ["a", "b", "c"].map((part) => ({ to: "chaos.part", payload: {}, key: `${idempotencyKey}.${part}` })),
    join: { to: "chaos.sum", payload: {} },
  })),
  role("chaos.part", async (message) => {
    const roll = rollOf(message);
    await pause(between(roll, 0, 50));
    if (roll() < 0.3) throw new Failure("agent_failed", "the dice said no");
    return { result: { sent: 0 } };
  }),
  role("chaos.sum", async () => ended),
  {
    ...role("chaos.line", async (message) => {
      const roll = rollOf(message);
      await pause(between(roll, 0, 30));
      if (roll() < 0.2) throw new Failure("agent_failed", "the dice said no");
      return ended;
    }),
    ordered: true,
  },
  role("chaos.flaky", async (message) => {
    const roll = rollOf(message);
    await pause(between(roll, 0, 100));
    if (roll() < 0.4) throw new Failure("agent_failed", "the dice said no");
    return ended;
  }),
  role("chaos.slow", async (message) => {
    await pause(between(rollOf(message), 200, 2500));
    return ended;
  }),
  role("chaos.poison", async () => {
    process.kill(process.pid, "SIGKILL");
    return new Promise<never>(() => {}); // the signal needs a moment
  }),
];

/** Where a request of the run may go, by its number; poison comes with the harm. */
export function entranceOf(roll: number): string {
  if (roll < 0.3) return "chaos.first";
  if (roll < 0.42) return "chaos.fan";
  if (roll < 0.54) return "chaos.all";
  if (roll < 0.62) return "chaos.line";
  return roll < 0.8 ? "chaos.flaky" : "chaos.slow";
}

const ended: Outcome<Sent> = {
  result: { sent: 0 },
  answer: { text: "well", verdict: null, citations: [], provider: null, replay: false },
};

function onTo(to: string): Outcome<Sent> {
  return { result: { sent: 1 }, next: [{ to, payload: {} }] };
}

function rollOf({ id, attempts }: Message) {
  return dice(`${id} ${attempts}`);
}

function role(name: string, handle: (message: Message<unknown>) => Promise<Outcome<Sent>>): Handler<unknown, Sent> {
  return { role: name, accepts: z.unknown(), answers: Sent, handle };
}
