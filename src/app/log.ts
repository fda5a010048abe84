import pino from "pino";
import type { Log } from "../contracts/log.ts";

/** One JSON line a fact, on standard output unless `fd` says 2. What could hold a secret is left out by name. */
export function openLog(role: string, level: string, fd: 1 | 2 = 1): Log {
  const options = {
    level,
    base: { role },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: ["authorization", "token", "password", "*.authorization", "*.token", "*.password"], remove: true },
  };
  return pino(options, pino.destination({ dest: fd, sync: true }));
}
