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
  slots: number;
};

export type Serving = { facts: SandboxWorkerFacts; ground: Ground | null; slots: Slots; pingMs: number; log: Log };

/** A worker's end of one connection to a hub. */
export type Service = {
  tellFree(): void;
  stop(why: string): Promise<void>; // its runs are cancelled, and have ended when this answers
};

/** Says hello to a hub and does what it gives, until the connection ends; then nobody wants its runs any more. */
export function serve(socket: WebSocket, { facts, ground, slots, pingMs, log }: Serving, onEnd: () => void): Service {
  const runs = new Map<number, TakenRun>();
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
    const slot = ground && !stopping && !runs.has(number) ? slots.take() : undefined;
    if (runs.has(number)) link.close(`run ${number} was given twice`);
    else if (!ground) refuse("sandbox_unavailable", facts.why ?? "this worker refuses work");
    else if (slot === undefined) refuse("busy", "no slot is free");
    else {
      const taken = takeRun({ ground, slot, number, head, link, log });
      runs.set(number, taken);
      taken.done.then(({ slotLost }) => {
        runs.delete(number);
        if (slotLost) log.error({ slot }, "a box did not end: its slot is given up");
        else slots.give(slot);
      });
    }
  }

  link.send({
    type: "hello",
    version: protocolVersion,
    ...facts,
    free: freeNow(),
    promises: facts.class ? promises[facts.class] : {},
  });
  return {
    tellFree: () => link.send({ type: "ping", free: freeNow() }),
    async stop(why) {
      stopping = true;
      const running = [...runs.values()];
      for (const taken of running) taken.cancel(why);
      await Promise.all(running.map(({ done }) => done));
      link.close(why);
    },
  };
}
