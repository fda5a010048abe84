import type { System, SystemName } from "./system.ts";

/** The adapter of a system. Throws when it is a peer that is not installed. */
export async function systemOf(name: SystemName): Promise<System> {
  switch (name) {
    case "ours":
      return (await import("./ours.ts")).ours;
    case "graphile_worker":
      return (await import("./graphile.ts")).openGraphile();
    case "pg_boss":
      return (await import("./pgboss.ts")).openPgBoss();
    case "raw":
      return (await import("./raw.ts")).raw;
  }
}
