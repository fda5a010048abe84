import { Failure } from "../contracts/failure.ts";
import { shardOf } from "../rules/shard.ts";
import type { Database } from "../store/database.ts";
import { allRoles, type RoleRow } from "../store/lanes.ts";

/** Roles as they were last seen, one look-up for each database of this process. */
const seen = new WeakMap<Database, { roles: Map<string, RoleRow>; atMs: number }>();

/** What was seen is looked at again after this long, beside whoever asks: others may have declared more shards. */
const freshMs = 5000;

/** Forgets what was seen: somebody declared roles, or the database refused a shard. */
export function forgetRoles(sql: Database): void {
  seen.delete(sql);
}

export type Address = { service: string; role: string; shard: number };

/**
 * The address of a message to `service.role`: the shard of its key. Throws `unknown_role` when nobody declared the role.
 */
export async function addressOf(
  sql: Database,
  { to, key, shard }: { to: string; key: string; shard?: number | undefined },
): Promise<Address> {
  const found = (await rolesOf(sql)).get(to) ?? (await rolesOf(sql, true)).get(to);
  if (!found)
    throw new Failure("unknown_role", `no worker has declared the role ${to}; start one that plays it`, { to });
  const { service, role, shards } = found;
  if (shard === undefined) return { service, role, shard: shardOf(key, shards) };
  if (Number.isInteger(shard) && shard >= 0 && shard < shards) return { service, role, shard };
  throw new Failure("shard_out_of_range", `${to} has shards 0 to ${shards - 1}, not ${shard}`, { to, shards });
}

async function rolesOf(sql: Database, again = false): Promise<Map<string, RoleRow>> {
  const known = again ? undefined : seen.get(sql);
  if (!known) return look(sql);
  if (performance.now() - known.atMs > freshMs) {
    known.atMs = performance.now();
    look(sql).catch(() => {}); // who publishes meets it
  }
  return known.roles;
}

async function look(sql: Database): Promise<Map<string, RoleRow>> {
  const roles = new Map((await allRoles(sql)).map((row) => [`${row.service}.${row.role}`, row]));
  seen.set(sql, { roles, atMs: performance.now() });
  return roles;
}
