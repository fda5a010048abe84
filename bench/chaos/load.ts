import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { publish } from "../../src/bus/publish.ts";
import type { Database } from "../../src/store/database.ts";
import { type Dice, dice } from "./dice.ts";
import { entranceOf } from "./roles.ts";

/** A request that a client made, and what it knows of it. */
export type Asked = {
  tenant: string;
  key: string;
  traceIds: string[]; // every answer it was given; none: all answers were lost, and it may or may not be there
};

/** Clients at work. `stop` waits until nothing is under way any more, and answers all that was asked. */
export type Load = { poison(): void; stop(): Promise<{ asked: Asked[]; lostAnswers: number }> };

/** The tenants of a run; together they use every shard. */
export const tenants = ["chaos-a", "chaos-b", "chaos-c", "chaos-d", "chaos-e", "chaos-f"];

/** How often a request is made: asked once, asked until answered, or asked twice at one time. */
type Manner = "once" | "again" | "twice";

/** Publishes `perS` requests a second, with keys and kinds that follow from the seed. */
export function startLoad(sql: Database, { seed, perS }: { seed: number; perS: number }): Load {
  const roll = dice(`${seed} load`);
  const asked: Asked[] = [];
  const underWay = new Set<Promise<void>>();
  let lostAnswers = 0;
  let stopping = false;

  function begin(to: string): void {
    const key = `chaos-${seed}-${asked.length}`;
    const one: Asked = { tenant: tenants[Math.floor(roll() * tenants.length)] ?? "local", key, traceIds: [] };
    asked.push(one);
    const carried = carryOut(one, to, mannerOf(roll));
    underWay.add(carried);
    carried.finally(() => underWay.delete(carried));
  }

  async function carryOut(one: Asked, to: string, manner: Manner): Promise<void> {
    if (manner === "twice") {
      await Promise.all([ask(one, to), ask(one, to)]);
      return;
    }
    while (!(await ask(one, to)) && manner === "again" && !stopping) await pause(250);
  }

  /** Whether it was answered. */
  async function ask({ tenant, key, traceIds }: Asked, to: string): Promise<boolean> {
    const request = { to, tenant, intent: "chat", payload: {}, idempotencyKey: key, traceparent: null } as const;
    try {
      traceIds.push((await publish(sql, { ...request, traceId: randomUUID() })).traceId);
      return true;
    } catch {
      lostAnswers += 1;
      return false;
    }
  }

  const clock = setInterval(() => begin(entranceOf(roll())), 1000 / perS);
  return {
    poison: () => begin("chaos.poison"),
    async stop() {
      clearInterval(clock);
      stopping = true;
      await Promise.race([Promise.all(underWay), pause(20_000, undefined, { ref: false })]);
      return { asked, lostAnswers };
    },
  };
}

function mannerOf(roll: Dice): Manner {
  const drawn = roll();
  if (drawn < 0.2) return "once";
  return drawn < 0.9 ? "again" : "twice";
}
