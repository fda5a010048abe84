import type { Log } from "../../src/contracts/log.ts";

/** A log that is kept, and can be waited on. */
export function keepLog(): Log & { lines: string[]; heard(words: string): Promise<void> } {
  const lines: string[] = [];
  const listeners = new Set<() => void>();
  const keep = (level: string) => (fact: Record<string, unknown>, text: string) => {
    lines.push(`${level} ${text} ${JSON.stringify(fact)}`);
    for (const listener of [...listeners]) listener();
  };
  return {
    lines,
    info: keep("info"),
    warn: keep("warn"),
    error: keep("error"),
    heard: (words) =>
      new Promise((resolve) => {
        const look = () => {
          if (!lines.some((line) => line.includes(words))) return;
          listeners.delete(look);
          resolve();
        };
        listeners.add(look);
        look();
      }),
  };
}
