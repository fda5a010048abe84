import { createHash } from "node:crypto";
import { linkSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import type { Artifact, ArtifactMeta } from "../contracts/artifact.ts";
import { Failure } from "../contracts/failure.ts";
import type { Message } from "../contracts/message.ts";
import { jsonText, type Sql } from "./database.ts";

/** A file that was written but is not yet visible: it takes its place when its attempt settles. */
export type Staged = {
  meta: ArtifactMeta;
  draft: string;
  held: boolean; // a person must let it go first
  placed: boolean; // it is where it belongs already: a settlement that was taken back has moved it
};

/** Where drafts wait, below ARTIFACTS_BASE: the same disk, so that taking its place is one rename. */
const draftsFolder = ".drafts";

/** Throws away drafts last written before `before`: their worker was killed. Answers how many. */
export async function sweepDrafts(base: string, before: Date): Promise<number> {
  const folder = join(base, draftsFolder);
  const names = await readdir(folder).catch(() => []); // nothing was ever staged here
  const gone: string[] = [];
  for (const name of names) {
    const found = await stat(join(folder, name)).catch(() => null); // another worker may have taken it by now
    if (!found || found.mtime >= before) continue;
    await rm(join(folder, name), { force: true });
    gone.push(name);
  }
  return gone.length;
}

/**
 * Writes a file where it waits. `token` keeps two attempts at the same message from touching each other's drafts. What the
 * attempt has kept before under another name (`others`) is the same file once more: a link, not a copy.
 */
export async function stage(
  base: string,
  { kind, name, schema, contentType, content, class: boxClass = null }: Artifact,
  { message, token, at, others = [] }: { message: Message; token: string; at: Date; others?: Staged[] },
): Promise<Staged> {
  const path = `${message.traceId}/${kind}/${name}`;
  inside(base, path); // refused before anything is written
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  const meta: ArtifactMeta = {
    schema,
    path,
    trace_id: message.traceId,
    tenant: message.tenant,
    intent: message.intent,
    message_id: message.id,
    idempotency_key: message.idempotencyKey,
    agent_id: message.assignment?.agent_id ?? null,
    agent_version: message.assignment?.agent_version ?? null,
    canary: message.assignment?.canary ?? false,
    attempts: message.attempts,
    created_at: at.toISOString(),
    sha256: createHash("sha256").update(bytes).digest("hex"),
    bytes: bytes.byteLength,
    content_type: contentType,
    class: boxClass,
  };
  const draft = join(base, draftsFolder, `${token}-${createHash("sha256").update(path).digest("hex").slice(0, 32)}`);
  const same = others.find((one) => one.meta.sha256 === meta.sha256 && !one.placed && one.draft !== draft);
  if (!same || !linked(same.draft, draft)) await writeNew(draft, bytes);
  const held = kind === "codegen" && message.assignment?.approval?.patch === true;
  return { meta, draft, held, placed: false };
}

/** False: there can be no link, because the file system has none, or one is in the way. */
function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch {
    return false;
  }
}

/** A file that is there is not written into: it may be linked to another. */
async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  rmSync(path, { force: true });
  try {
    await write(path, bytes);
  } catch (error) {
    if (!isMissing(error)) throw error;
    await mkdir(dirname(path), { recursive: true }); // the first of all: to ask each time costs more than to write
    await write(path, bytes);
  }
}

/**
 * A small file is written at once: it takes what the file system takes, and not the way to a thread and back for each of
 * opening, writing and closing it; a request keeps about twenty of them.
 */
async function write(path: string, bytes: Uint8Array): Promise<void> {
  if (bytes.byteLength <= smallBytes) writeFileSync(path, bytes);
  else await writeFile(path, bytes);
}

const smallBytes = 65_536;

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

/** Moves a file and its `.meta.json` to their place. */
function place({ meta, draft }: Staged, target: string): void {
  writeFileSync(`${draft}.meta`, `${JSON.stringify(meta, null, 2)}\n`);
  renameSync(draft, target);
  renameSync(`${draft}.meta`, `${target}.meta.json`);
}

/** Puts staged files in their places and in the index, inside the settling transaction: the lease is still ours. */
export async function keepStaged(tx: Sql, base: string, staged: Staged[]): Promise<void> {
  if (staged.length === 0) return;
  const last = new Map(staged.map((one) => [inside(base, one.meta.path), one])); // of one that was kept twice
  for (const folder of new Set([...last.keys()].map(dirname))) mkdirSync(folder, { recursive: true });
  for (const [target, one] of last) {
    if (one.placed) continue;
    place(one, target);
    one.placed = true;
  }
  await tx`
    insert into artifacts (path, trace_id, tenant, kind, schema, intent, message_id, idempotency_key, agent_id,
                           agent_version, canary, attempts, sha256, bytes, content_type, created_at, held, sandbox_class)
    select path, trace_id, tenant, split_part(path, '/', 2), schema, intent, message_id, idempotency_key, agent_id,
           agent_version, canary, attempts, sha256, bytes, content_type, created_at, held, class
    from jsonb_to_recordset(${jsonText([...last.values()].map(({ meta, held }) => ({ ...meta, held })))}::text::jsonb) as kept(
      path text, trace_id uuid, tenant text, schema text, intent text, message_id bigint, idempotency_key text,
      agent_id text, agent_version text, canary boolean, attempts smallint, sha256 text, bytes bigint, content_type text,
      created_at timestamptz, held boolean, class text)
    on conflict (path) do update
    set message_id = excluded.message_id, idempotency_key = excluded.idempotency_key, agent_id = excluded.agent_id,
        agent_version = excluded.agent_version, canary = excluded.canary, attempts = excluded.attempts, sha256 = excluded.sha256,
        bytes = excluded.bytes, content_type = excluded.content_type, created_at = excluded.created_at,
        held = excluded.held, sandbox_class = excluded.sandbox_class`;
}

/** Lets go of what a person had to approve first: whoever may read the trace may read it from now on. */
export async function releaseArtifacts(sql: Sql, traceId: string): Promise<void> {
  await sql`update artifacts set held = false where trace_id = ${traceId} and held`;
}

/** Throws away what was staged by an attempt that may not settle. */
export async function dropStaged(staged: Staged[]): Promise<void> {
  for (const { draft } of staged) await rm(draft, { force: true });
}

export type ArtifactQuery = {
  tenant: string | null; // null: all
  traceId: string | null;
  before: { at: string; path: string } | null; // strictly behind this place in the order
  held: boolean; // those too that wait for approval
  limit: number;
};

/** The index: latest first, of one tenant (null: all) and, when given, one trace. */
export async function artifactIndex(sql: Sql, { tenant, traceId, before, held, limit }: ArtifactQuery) {
  return sql<ArtifactMeta[]>`
    select schema, path, trace_id, tenant, intent, message_id, idempotency_key, agent_id, agent_version, canary,
           attempts, to_char(created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as created_at,
           sha256, bytes::float8 as bytes, content_type, sandbox_class as class
    from artifacts
    where (${tenant}::text is null or tenant = ${tenant})
      and (${traceId}::uuid is null or trace_id = ${traceId}) and (${held} or not held)
      and (${before?.at ?? null}::timestamptz is null
           or (created_at, path) < (${before?.at ?? null}::timestamptz, ${before?.path ?? null}::text))
    order by created_at desc, path desc
    limit ${limit}`;
}

/** One file by its path; null when it is not in the index or belongs to another tenant (`tenant` null: any). */
export async function artifactAt(sql: Sql, path: string, tenant: string | null) {
  const [row] = await sql<{ sha256: string; content_type: string; held: boolean }[]>`
    select sha256, content_type, held from artifacts
    where path = ${path} and (${tenant}::text is null or tenant = ${tenant})`;
  return row ?? null;
}

/** The bytes of a file of the index, or of the `.meta.json` beside it. Throws `not_found` when they are gone. */
export async function artifactBytes(base: string, path: string): Promise<Buffer> {
  return readFile(inside(base, path)).catch((cause) => {
    throw new Failure("not_found", `the bytes of ${path} are gone from the artifacts folder`, { cause });
  });
}

/** A path below `base`, or a refusal: nothing outside the artifacts folder is ever read or written. */
function inside(base: string, path: string): string {
  const target = resolve(base, path);
  if (!target.startsWith(resolve(base) + sep) || path.includes("\0")) {
    throw new Failure("invalid_request", "the path leaves the artifacts folder", { path });
  }
  return join(target);
}
