import { randomBytes } from "node:crypto";
import type { Readable } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import type { Box } from "./box.ts";
import { fds } from "./chain.ts";
import { quote, quoteAll } from "./quote.ts";

/** How a program ended: by itself with a code, or by a signal. Neither: its box ended under it. */
export type End = { code: number | null; signal: string | null };

/** What comes out of one stream of a box, in order, handed on as fast as it is taken. */
export type Outlet = {
  until(mark: Buffer): Promise<void>; // all that came before these bytes was handed on
  done: Promise<void>; // the stream is at its end
};

/** Signals that a shell tells as 128 and their number. */
const signals: Record<number, string> = {
  1: "SIGHUP",
  2: "SIGINT",
  3: "SIGQUIT",
  4: "SIGILL",
  5: "SIGTRAP",
  6: "SIGABRT",
  7: "SIGBUS",
  8: "SIGFPE",
  9: "SIGKILL",
  10: "SIGUSR1",
  11: "SIGSEGV",
  12: "SIGUSR2",
  13: "SIGPIPE",
  14: "SIGALRM",
  15: "SIGTERM",
  24: "SIGXCPU",
  25: "SIGXFSZ",
  31: "SIGSYS",
};

/**
 * Runs one command in the box and waits for its end; its output goes to the outlets. A shell cannot tell `exit 137` from
 * a kill: both count as SIGKILL.
 *
 * Once the command has ended, a mark that it could not know of is printed behind its output: what comes before the mark is
 * of this step, whatever a program it left behind still prints.
 */
export async function runStep(box: Box, outlets: Outlet[], argv: string[]): Promise<End> {
  const answer = nextLine(box);
  box.control.write(`(exec ${quoteAll(argv)} </dev/null ${fds.report}>&-); echo "$?" >&${fds.report}\n`);
  const said = await answer;
  if (said === null) return { code: null, signal: "SIGKILL" };

  const mark = randomBytes(16).toString("hex");
  const drained = Promise.all(outlets.map((outlet) => outlet.until(Buffer.from(mark))));
  box.control.write(`printf %s ${quote(mark)}; printf %s ${quote(mark)} >&2\n`);
  await drained;
  const status = Number(said);
  const signal = signals[status - 128] ?? null;
  return { code: signal ? null : status, signal };
}

/** Who prints a byte at a time, thousands of times, is read less often: each piece costs a frame, all the way to a reader. */
const small = { bytes: 4096, most: 200, gatherMs: 4 };

/** Hands on what comes out of `stream`, waiting for each piece to be taken before the next is read. */
export function openOutlet(stream: Readable, take: (bytes: Buffer) => Promise<void> | void): Outlet {
  let held: Buffer = Buffer.alloc(0);
  let awaited: { mark: Buffer; found: () => void } | null = null;
  let atEnd = false;
  let crumbs = 0;

  async function hand(bytes: Buffer): Promise<void> {
    if (bytes.length > 0) await take(bytes);
  }

  async function read(bytes: Buffer): Promise<void> {
    if (!awaited) return hand(bytes);
    const all = Buffer.concat([held, bytes]);
    const { mark, found } = awaited;
    const at = all.indexOf(mark);
    if (at < 0) {
      const sure = Math.max(0, all.length - mark.length + 1);
      held = all.subarray(sure);
      return hand(all.subarray(0, sure));
    }
    held = Buffer.alloc(0);
    awaited = null;
    await hand(all.subarray(0, at));
    found();
    await hand(all.subarray(at + mark.length));
  }

  async function drain(): Promise<void> {
    try {
      for await (const bytes of stream) {
        await read(bytes);
        if (bytes.length < small.bytes && ++crumbs > small.most) await wait(small.gatherMs);
      }
    } finally {
      atEnd = true;
      await hand(held);
      awaited?.found();
    }
  }

  return {
    until: (mark) =>
      new Promise((found) => {
        if (atEnd) return found();
        awaited = { mark, found };
      }),
    done: drain().catch(() => {}), // a box that was killed breaks off its streams
  };
}

/** The next word of the box's shell; null when the box ends first. */
function nextLine(box: Box): Promise<string | null> {
  return new Promise((resolve) => {
    const hear = (bytes: Buffer) => {
      box.report.pause();
      resolve(bytes.toString().trim());
    };
    box.report.once("data", hear);
    box.report.once("end", () => resolve(null));
    box.ended.then(() => resolve(null));
    box.report.resume();
  });
}
