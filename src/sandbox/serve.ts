import { setTimeout as wait } from "node:timers/promises";
import type { WebSocket } from "ws";
import { HubFrame, protocolVersion, type WorkerFrame } from "../contracts/frame.ts";
import type { SandboxClass } from "../contracts/limits.ts";
import type { Log } from "../contracts/log.ts";
import type { RunHead } from "../contracts/sandbox.ts";
import { type Ground, promises } from "./ground.ts";
import { openLink } from "./link.ts";
import type { Slots } from "./slots.ts";
import { type TakenRun, takeRun } from "./taken.ts";

/** What a worker turned out to be. `class` null: it refuses all work, and `why` says the reason. */
export type SandboxWorkerFacts = {
  worker: string;
  class: SandboxClass | null;
  why: string | null; // why it is not of a stronger class
  profiles: string[];
  lacks: Record<string, string>; // profiles that it cannot offer, and why
  slots: number;
};

export type Serving = { facts: SandboxWorkerFacts; ground: Ground | null; slots: Slots; pingMs: number; log: Log };

const lateMs = 10_000; // for a box to end, however busy the machine is

/** A worker's end of one connection to a hub. */
export type Service = {
  tellFree(): void;
  tellKeeps(): void; // what this worker keeps is not the same any more
  stop(why: string): Promise<void>; // its runs are cancelled, and have ended when this answers
};

/** Says hello to a hub and does what it gives, until the connection ends; then nobody wants its runs any more. */
export function serve(socket: WebSocket, { facts, ground, slots, pingMs, log }: Serving, onEnd: () => void): Service {
  const runs = new Map<number, TakenRun>();
  const ending = new Set<Promise<void>>();
  let stopping = false;

  const link = openLink<HubFrame, WorkerFrame>(socket, {
    accepts: HubFrame,
    ping: () => ({ type: "ping", free: freeNow() }),
    pingMs,
    onFrame(frame) {
      if (frame.type === "run") begin(frame.run, frame.head);
      else if (frame.type === "ack") runs.get(frame.run)?.onAck(frame.bytes);
      else if (frame.type === "cancel") runs.get(frame.run)?.cancel("its hub cancelled it");
    },
    onChunk(chunk) {
      const taken = runs.get(chunk.run);
      if (taken && chunk.kind === "input") taken.onInput(chunk);
      else log.warn({ run: chunk.run, kind: chunk.kind }, "bytes came that nobody here waits for");
    },
    onEnd() {
      for (const taken of runs.values()) taken.cancel("the connection to its hub was lost");
      onEnd();
    },
  });

  function freeNow(): number {
    return ground && !stopping ? slots.free() : 0;
  }

  function begin(number: number, head: RunHead): void {
    const refuse = (code: "busy" | "sandbox_unavailable" | "invalid_request", message: string) =>
      link.send({ type: "error", run: number, code, message });
    if (runs.has(number)) link.close(`run ${number} was given twice`);
    else if (!ground) refuse("sandbox_unavailable", facts.why ?? "this worker refuses work");
    else if (stopping || !slots.take()) refuse("busy", "no slot is free");
    else follow(number, takeRun({ ground, number, head, link, log }));
  }

  /** The slot is free once the hub has its answer. A box that does not end then takes a slot until it does. */
  function follow(number: number, { answered, over, ...taken }: TakenRun): void {
    runs.set(number, { answered, over, ...taken });
    ending.add(over);
    let isLost = false;
    let late: NodeJS.Timeout | undefined;
    answered.then(() => {
      runs.delete(number);
      slots.give();
      late = setTimeout(() => {
        isLost = true;
        log.error({ run: number }, "a box does not end: it keeps a slot");
        slots.lose();
      }, lateMs);
    });
    Promise.all([answered, over]).then(() => {
      ending.delete(over);
      clearTimeout(late);
      if (isLost) slots.give();
    });
  }

  link.send({
    type: "hello",
    version: protocolVersion,
    ...facts,
    free: freeNow(),
    promises: facts.class ? promises[facts.class] : {},
    ...(ground?.depot && { keeps: ground.depot.names() }),
  });
  return {
    tellFree: () => link.send({ type: "ping", free: freeNow() }),
    tellKeeps() {
      if (ground?.depot) link.send({ type: "keeps", keeps: ground.depot.names() });
    },
    async stop(why) {
      stopping = true;
      for (const taken of runs.values()) taken.cancel(why);
      await Promise.race([Promise.all(ending), wait(lateMs, null, { ref: false })]);
      link.close(why);
    },
  };
}
