import { createHash } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Failure } from "../contracts/failure.ts";
import { Manifest, type Upload, type UploadView } from "../contracts/upload.ts";

/** Where uploads are, below ARTIFACTS_BASE: a folder for each tenant, so that no tenant can name another's. */
const uploadsFolder = ".uploads";
const pieceBytes = 65_536;

export type Arriving = {
  name: string; // of the draft: no other upload under way has it
  mostBytes: number;
  feed(bytes: Uint8Array): void; // looks at what comes; may throw
  end(): void; // looks when all has come; may throw
};

/**
 * Writes what comes where it waits, and answers its SHA-256. Throws `payload_too_large`, and what `feed` throws; then
 * nothing is left of it.
 */
export async function takeIn(
  base: string,
  body: AsyncIterable<Uint8Array>,
  { name, mostBytes, feed, end }: Arriving,
): Promise<{ draft: string; sha256: string }> {
  await mkdir(join(base, uploadsFolder), { recursive: true });
  const draft = join(base, uploadsFolder, `${name}.part`);
  const hash = createHash("sha256");
  const file = await open(draft, "wx");
  let bytes = 0;
  try {
    for await (const piece of body) {
      bytes += piece.length;
      if (bytes > mostBytes) throw new Failure("payload_too_large", `an upload has ${mostBytes} bytes at most`);
      hash.update(piece);
      feed(piece);
      await file.writeFile(piece);
    }
    end();
    return { draft, sha256: hash.digest("hex") };
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

/** Puts an upload in its place. The same one again is the same one. */
export async function keepUpload(
  base: string,
  tenant: string,
  { draft, manifest }: { draft: string; manifest: Manifest },
): Promise<UploadView> {
  const folder = join(base, uploadsFolder, tenant);
  await mkdir(folder, { recursive: true });
  const place = join(folder, manifest.id);
  await writeFile(`${draft}.json`, JSON.stringify(manifest));
  await rename(draft, `${place}.tar`);
  await rename(`${draft}.json`, `${place}.json`); // last: what can be opened is whole
  const { id, files, bytes, left_out } = manifest;
  return { id, files, bytes, left_out };
}

/** Opens an upload of a tenant. Throws `not_found` when there is none, or it was swept up. */
export async function openUpload(
  base: string,
  { tenant, id, now }: { tenant: string; id: string; now: Date },
): Promise<Upload> {
  const place = join(base, uploadsFolder, tenant, id);
  const text = await readFile(`${place}.json`, "utf8").catch((cause) => {
    throw new Failure("not_found", `there is no upload ${id}: it was never made here, or is older than a week`, {
      cause,
    });
  });
  const { entries, links } = Manifest.parse(JSON.parse(text));
  const places = new Map(entries.map(([path, bytes, offset]) => [path, { bytes, offset }]));
  await utimes(`${place}.json`, now, now); // who is used is not swept up

  async function* read(path: string): AsyncGenerator<Buffer, void> {
    const found = places.get(path);
    if (!found) throw new Failure("not_found", `the upload has no ${path}`);
    const file = await open(`${place}.tar`);
    try {
      for (let done = 0; done < found.bytes; ) {
        const length = Math.min(pieceBytes, found.bytes - done);
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, found.offset + done);
        if (bytesRead === 0) throw new Failure("internal", `the upload ${id} is shorter than it was`);
        yield buffer.subarray(0, bytesRead);
        done += bytesRead;
      }
    } finally {
      await file.close();
    }
  }

  return {
    files: new Map(entries.map(([path, bytes]) => [path, bytes])),
    links: new Set(links),
    read,
  };
}

/** Throws away uploads, whole or not, that nobody has opened since `before`. Answers how many. */
export async function sweepUploads(base: string, before: Date): Promise<number> {
  const folder = join(base, uploadsFolder);
  let gone = 0;
  for (const name of await readdir(folder, { recursive: true }).catch(() => [])) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => null); // another worker may have taken it by now
    if (!found?.isFile() || found.mtime >= before || name.endsWith(".tar")) continue;
    await rm(path, { force: true });
    await rm(path.replace(/\.json$/, ".tar"), { force: true });
    gone += 1;
  }
  return gone;
}
