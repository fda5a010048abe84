import { randomBytes } from "node:crypto";
import { sha256 } from "../../src/gateway/guard.ts";
import type { Sql } from "../../src/store/database.ts";
import { type Kind, openTenant, storeKey } from "../../src/store/keys.ts";

/** Makes keys, by name, and answers the headers that show each. */
export async function openKeys(
  sql: Sql,
  keys: Record<string, { kind: Kind; tenant: string }>,
): Promise<Record<string, Record<string, string>>> {
  const headers: Record<string, Record<string, string>> = {};
  for (const [name, { kind, tenant }] of Object.entries(keys)) {
    const key = `dag_${randomBytes(32).toString("base64url")}`;
    await openTenant(sql, tenant);
    await storeKey(sql, { name, kind, tenant, sha256: sha256(key) });
    headers[name] = { authorization: `Bearer ${key}` };
  }
  return headers;
}
