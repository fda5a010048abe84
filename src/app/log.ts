import pino from "pino";
import type { Log } from "../contracts/log.ts";

/** One JSON line a fact on standard output. What could hold a secret is left out by name. */
export function openLog(role: string, level: string): Log {
  return pino({
    level,
    base: { role },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: ["authorization", "token", "password", "*.authorization", "*.token", "*.password"], remove: true },
  });
}
