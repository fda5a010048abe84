import type { Sql } from "./database.ts";

/** Whose key it is; see contracts/http. */
export type Kind = "tenant" | "operator" | "admin" | "sandbox";

/** An access key as it is remembered: everything but the key. */
export type AccessKey = {
  id: string;
  name: string;
  kind: Kind;
  tenant: string;
  created_at: Date;
  revoked_at: Date | null;
};

/** What the guard must know: is any key in force, is any of them an admin's, and whose is this one. */
export type Standing = {
  configured: boolean;
  adminExists: boolean;
  key: CallerKey | null; // null: not shown, unknown or revoked
};

/** A key that opens the gateway; a sandbox worker's does not. */
export type CallerKey = Pick<AccessKey, "id" | "name" | "tenant"> & { kind: Exclude<Kind, "sandbox"> };

/** Looks a key up by its SHA-256 (null: none was shown). Not cached: a new key and a revoked one count at once. */
export async function standingOf(sql: Sql, sha256: Buffer | null): Promise<Standing> {
  const [row] = await sql<(Omit<Standing, "key"> & { [Field in keyof CallerKey]: CallerKey[Field] | null })[]>`
    select exists (select from access_keys where revoked_at is null and kind <> 'sandbox') as configured,
           exists (select from access_keys where revoked_at is null and kind = 'admin') as "adminExists",
           k.id, k.name, k.kind, k.tenant
    from (values (1)) one
    left join access_keys k on k.sha256 = ${sha256} and k.revoked_at is null and k.kind <> 'sandbox'`;
  if (!row) throw new Error("a left join from one row answers one row");
  const { configured, adminExists, id, name, kind, tenant } = row;
  const known = id !== null && name !== null && kind !== null && tenant !== null;
  return { configured, adminExists, key: known ? { id, name, kind, tenant } : null };
}

/** The name of the sandbox worker's key with this SHA-256; null: unknown, revoked, or a key for something else. */
export async function sandboxKeyOf(sql: Sql, sha256: Buffer): Promise<string | null> {
  const [key] = await sql<{ name: string }[]>`
    select name from access_keys
    where sha256 = ${sha256} and kind = 'sandbox' and revoked_at is null`;
  return key?.name ?? null;
}

/** Stores a key by its SHA-256. */
export async function storeKey(
  tx: Sql,
  { name, kind, tenant, sha256 }: { name: string; kind: Kind; tenant: string; sha256: Buffer },
): Promise<AccessKey> {
  const [key] = await tx<AccessKey[]>`
    insert into access_keys (name, kind, tenant, sha256)
    values (${name}, ${kind}, ${tenant}, ${sha256})
    returning id, name, kind, tenant, created_at, revoked_at`;
  if (!key) throw new Error("an insert that returns answers one row");
  return key;
}

/** Puts a key out of force. Null: there is no such key in force. */
export async function revokeKey(tx: Sql, id: string): Promise<AccessKey | null> {
  const [key] = await tx<AccessKey[]>`
    update access_keys
    set revoked_at = bus_now()
    where id = ${id} and revoked_at is null
    returning id, name, kind, tenant, created_at, revoked_at`;
  return key ?? null;
}

/** All keys, in force and revoked, the latest first. */
export async function keysOf(sql: Sql): Promise<AccessKey[]> {
  return sql<AccessKey[]>`
    select id, name, kind, tenant, created_at, revoked_at
    from access_keys
    order by id desc
    limit 1000`;
}

/** Brings a tenant into being; one that exists stays as it is. */
export async function openTenant(tx: Sql, tenant: string): Promise<void> {
  await tx`
    insert into tenants (id)
    values (${tenant})
    on conflict do nothing`;
}

export async function tenantExists(sql: Sql, tenant: string): Promise<boolean> {
  const rows = await sql`select from tenants where id = ${tenant}`;
  return rows.length === 1;
}
