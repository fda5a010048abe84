import type { Tools } from "../../bus/handler.ts";
import type { Chunk } from "../../contracts/sandbox.ts";

const everyMs = 1000;
const mostLines = 20;

/**
 * Tells what a run prints while it prints it: at most one status a second, each with the last lines since the one
 * before. The whole log is kept as an artifact; this is for whoever watches.
 */
export function liveLog({ status }: Tools): { hear(chunk: Chunk): void; end(): Promise<void> } {
  const decoder = new TextDecoder();
  let lines: string[] = [];
  let step = "";
  let toldAt = Number.NEGATIVE_INFINITY;
  let telling = Promise.resolve();

  const tell = () => {
    if (lines.length === 0) return;
    const last = lines.slice(-mostLines).map((line) => line.slice(0, 200));
    lines = [];
    toldAt = performance.now();
    const one = step;
    // A status that cannot be written costs the watcher a line; it must not cost the run.
    telling = telling.then(() => status(`${one} is running`, { step: one, lines: last })).catch(() => {});
  };

  return {
    hear(chunk) {
      step = chunk.step;
      const text = decoder.decode(chunk.bytes, { stream: true });
      lines.push(...text.split("\n").filter((line) => line.trim() !== ""));
      lines = lines.slice(-mostLines);
      if (performance.now() - toldAt >= everyMs) tell();
    },
    end() {
      tell();
      return telling;
    },
  };
}
