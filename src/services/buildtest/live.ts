import { StringDecoder } from "node:string_decoder";
import type { Tools } from "../../bus/handler.ts";
import type { Chunk } from "../../contracts/sandbox.ts";

const everyMs = 1000;
const mostLines = 100;
const mostLetters = 200; // of a line

/** What is left of a line on a terminal: a bar of progress writes over itself. */
function asSeen(line: string): string {
  const whole = line.replace(/\r+$/, "");
  return whole.slice(whole.lastIndexOf("\r") + 1);
}

/**
 * Tells what a run prints while it prints it: at most one status a second, each with the last whole lines since the one
 * before, and one more at the end with what is left. The whole log is kept as an artifact; this is for whoever watches.
 */
export function liveLog({ status }: Pick<Tools, "status">): { hear(chunk: Chunk): void; end(): Promise<void> } {
  const streams = new Map<string, { decoder: StringDecoder; begun: string }>();
  let lines: string[] = [];
  let heard = 0; // lines since the last status
  let step = "";
  let timer: NodeJS.Timeout | undefined;
  let telling = Promise.resolve();

  function tell(): void {
    timer = undefined;
    if (lines.length === 0) return;
    const facts = { step, lines, left_out: heard - lines.length };
    lines = [];
    heard = 0;
    // A status that cannot be written costs the watcher a line; it must not cost the run.
    telling = telling.then(() => status(`${facts.step} is running`, facts)).catch(() => {});
  }

  function add(more: string[]): void {
    const said = more
      .map(asSeen)
      .filter((line) => line.trim() !== "")
      .map((line) => line.slice(0, mostLetters));
    heard += said.length;
    lines = [...lines, ...said.slice(-mostLines)].slice(-mostLines);
  }

  return {
    hear({ step: name, stream, bytes }) {
      if (name !== step) tell();
      step = name;
      const one = streams.get(stream) ?? { decoder: new StringDecoder("utf8"), begun: "" };
      const whole = (one.begun + one.decoder.write(Buffer.from(bytes))).split("\n");
      one.begun = whole.pop()?.slice(-mostLetters) ?? "";
      streams.set(stream, one);
      add(whole);
      timer ??= setTimeout(tell, everyMs);
    },
    end() {
      clearTimeout(timer);
      add([...streams.values()].map(({ begun }) => begun));
      tell();
      return telling;
    },
  };
}
