import { createGunzip } from "node:zlib";
import { Failure } from "../contracts/failure.ts";
import { Manifest, type UploadView } from "../contracts/upload.ts";
import { WorkspacePath } from "../contracts/work.ts";
import { openTar } from "../rules/tar.ts";
import { keepUpload, takeIn } from "../store/uploads.ts";
import { unbundle } from "./bundle.ts";

/** The most an upload may hold, unpacked. */
export const uploadLimits = { bytes: 1_073_741_824, files: 50_000 };

const mostTold = 200;
const bundleMs = 300_000; // for git to open one

export type Incoming = { tenant: string; name: string; gzipped: boolean };

/**
 * Takes a tar in as it comes: it is hashed, looked at and written piece by piece, and never stands in memory. Throws
 * `invalid_request` for what is no tar or names what may not be named, `payload_too_large`.
 */
export async function takeTar(
  base: string,
  body: AsyncIterable<Uint8Array> & NodeJS.ReadableStream,
  { tenant, name, gzipped }: Incoming,
): Promise<UploadView> {
  const entries: Manifest["entries"] = [];
  const links: string[] = [];
  const leftOut: UploadView["left_out"] = [];
  const known = new Set<string>();
  let bytes = 0;

  const leave = (path: string, why: string) => {
    if (leftOut.length < mostTold) leftOut.push({ path: path.slice(0, 512), why });
  };
  const tar = openTar((entry) => {
    const { path } = entry;
    if (entry.kind === "link") links.push(path);
    if (entry.kind !== "file") return leave(path, entry.kind === "link" ? "a link" : entry.why);
    if (path.toLowerCase().split("/").includes(".git")) return leave(path, "of git's own");
    const checked = WorkspacePath.safeParse(path);
    if (!checked.success) throw refusal(`${JSON.stringify(path.slice(0, 200))} ${checked.error.issues[0]?.message}`);
    if (known.has(path)) throw refusal(`${path} is in it twice`);
    known.add(path);
    entries.push([path, entry.bytes, entry.offset]);
    bytes += entry.bytes;
    if (entries.length > uploadLimits.files) {
      throw new Failure("payload_too_large", `an upload has ${uploadLimits.files} files at most`);
    }
  });

  const unpacked = gzipped ? body.pipe(createGunzip()) : body;
  const { draft, sha256 } = await takeIn(base, unpacked, {
    name,
    mostBytes: uploadLimits.bytes,
    feed: tar.feed,
    end: () => mustBeWhole(tar, entries, known),
  }).catch((cause) => {
    if (cause instanceof Failure) throw cause;
    throw new Failure("invalid_request", `the upload broke off: ${cause.message}`, { cause });
  });
  const made = { id: sha256, files: entries.length, bytes, left_out: leftOut, entries, links };
  return keepUpload(base, tenant, { draft, manifest: Manifest.parse(made) });
}

/** Takes a git bundle in: the files of its HEAD, as if they had come as a tar. Throws as takeTar and unbundle do. */
export async function takeBundle(
  base: string,
  body: AsyncIterable<Uint8Array> & NodeJS.ReadableStream,
  { tenant, name }: Omit<Incoming, "gzipped">,
): Promise<UploadView> {
  const signal = AbortSignal.timeout(bundleMs);
  const { tar, done } = await unbundle(base, body, { name, mostBytes: uploadLimits.bytes, signal });
  try {
    const kept = await takeTar(base, tar, { tenant, name, gzipped: false });
    await done();
    return kept;
  } catch (error) {
    await done(); // git's own reason comes first
    throw error;
  }
}

/** What can be said only when all of it has come. */
function mustBeWhole(tar: { end(): void }, entries: Manifest["entries"], known: Set<string>): void {
  tar.end();
  if (entries.length === 0) throw refusal("there is no file in it");
  for (const [path] of entries) {
    const parts = path.split("/");
    const folder = parts
      .slice(1)
      .map((_, n) => parts.slice(0, n + 1).join("/"))
      .find((one) => known.has(one));
    if (folder !== undefined) throw refusal(`${path} needs ${folder} as a folder, and it is a file`);
  }
}

function refusal(why: string): Failure {
  return new Failure("invalid_request", `the upload cannot be taken: ${why}`);
}
