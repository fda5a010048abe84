import { cpus, loadavg, release, totalmem, type } from "node:os";
import { version } from "../src/app/paths.ts";

/** Where the numbers were made. `load` is the load average of the last minute when it began: above 0 means noise. */
export function machine(): Record<string, unknown> {
  return {
    system: `${type()} ${release()} ${process.arch}`,
    cpus: cpus().length,
    cpu: cpus()[0]?.model ?? "unknown",
    memory_gib: Math.round(totalmem() / 2 ** 30),
    load: loadavg()[0] ?? 0,
    node: process.versions.node,
    dagent: version,
  };
}
